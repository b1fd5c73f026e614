"""ETag and If-Match: an entity's version as HTTP sees it."""

import re
from typing import Annotated, Final

from fastapi import Depends, Header
from pydantic import WithJsonSchema
from starlette.requests import Request

from serve.errors import Problem

_VERSION: Final = re.compile(r'\s*(?:"(\d{1,18})"|(\d{1,18}))\s*')

_DECLARED: Final = Header(
    alias="If-Match", description="the version that is to be changed, as its ETag; if it has another by now: 412"
)
_SCHEMA: Final = WithJsonSchema({"type": "string", "examples": ['"3"']})


def etag(version: int) -> str:
    """The ETag of an entity at a version."""
    return f'"{version}"'


# The framework's value is for the document only: the header may come in several lines.
async def _expected_versions(
    request: Request, _declared: Annotated[str | None, _DECLARED, _SCHEMA] = None
) -> frozenset[int] | None:
    headers = request.headers.getlist("if-match")
    if not headers:
        return None
    parts = ",".join(headers).split(",")
    if any(part.strip() == "*" for part in parts):
        return None
    found = (_VERSION.fullmatch(part) for part in parts)
    # A weak or foreign tag matches nothing, so it is simply not among the versions.
    return frozenset(int(match[1] or match[2]) for match in found if match is not None)


ExpectedVersions = Annotated[frozenset[int] | None, Depends(_expected_versions)]
"""Parameter type: the versions that If-Match admits, or None if it admits any."""


def require_version(expected: frozenset[int] | None, current: int) -> None:
    """Raises 412 `version-mismatch` unless If-Match admits the current version."""
    if expected is not None and current not in expected:
        raise Problem("version-mismatch", headers={"ETag": etag(current)})
