"""Builds the answers of routes: JSON with exact amounts, and the headers of the conventions."""

from collections.abc import Mapping

import msgspec
from pydantic import BaseModel
from starlette.responses import Response

from serve.etags import etag

_encoder = msgspec.json.Encoder()


def answer(
    body: BaseModel | Mapping[str, object],
    *,
    status: int = 200,
    version: int | None = None,
    replayed: bool = False,
    location: str | None = None,
    retry_after_s: int | None = None,
    exclude_none: bool = False,
) -> Response:
    """A JSON answer, with the headers of the conventions.

    `version` becomes the ETag, `replayed` Idempotent-Replayed, `location` Location, `retry_after_s` Retry-After.
    Amounts in models of type `MoneyOut` are written as their exact text, such as 10.00.
    """
    content = body.model_dump(by_alias=True, exclude_none=exclude_none) if isinstance(body, BaseModel) else body
    headers: dict[str, str] = {}
    if version is not None:
        headers["ETag"] = etag(version)
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    if location is not None:
        headers["Location"] = location
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    return Response(_encoder.encode(content), status_code=status, headers=headers, media_type="application/json")


def no_content() -> Response:
    """204."""
    return Response(status_code=204)
