"""Idempotency-Key: reading it, and what makes two requests the same one."""

import hashlib
import re
from decimal import Decimal
from typing import Annotated, Final

import msgspec
from fastapi import Depends, Header
from pydantic import WithJsonSchema
from starlette.requests import Request

from serve.errors import Problem

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_DECLARED: Final = Header(
    alias="Idempotency-Key",
    description="names the deed: a repeat with the same key and the same request is answered alike, and done once",
)
_SCHEMA: Final = WithJsonSchema({"type": "string", "pattern": "^[!-~]{1,255}$", "examples": ["order-7f3a"]})


# The framework's value is for the document only: of a header that came twice it would show one.
async def _read_key(request: Request, _declared: Annotated[str | None, _DECLARED, _SCHEMA] = None) -> str | None:
    given = request.headers.getlist("idempotency-key")
    if not given:
        return None
    if len(given) > 1 or _KEY.fullmatch(given[0]) is None:
        raise Problem("invalid-idempotency-key", "One Idempotency-Key of 1 to 255 visible ASCII characters.")
    return given[0]


ClientKey = Annotated[str | None, Depends(_read_key)]
"""Parameter type: the request's Idempotency-Key, or None. 422 if it is not acceptable."""


def fingerprint(request: Request) -> str:
    """Digest of the canonical request: method, path, query and body, whatever its spacing and order of names.

    Amounts count by value: 10, 10.0 and 10.00 are the same.
    """
    query = sorted(request.query_params.multi_items())
    body = getattr(request.state, "json_body", None)
    canonical = msgspec.json.encode([request.method, request.url.path, query, _plain(body)], order="deterministic")
    return hashlib.sha256(canonical).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _number(Decimal(value))
    return value


def _number(value: Decimal) -> list[str]:
    # Marked by its list, so that the number 1 and the text "1" stay different.
    return [f"{value.normalize():f}", "number"]
