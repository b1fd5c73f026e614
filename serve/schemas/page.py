"""Lists: how to ask for a page, and what comes back."""

from typing import Annotated, Generic, TypeVar

from fastapi import Query

from serve.errors import Problem, invalid_parameter
from serve.schemas.base import CamelOut

Item = TypeVar("Item")

Limit = Annotated[int, Query(ge=1, le=100, description="items a page")]
# A cursor holds what its list is sorted by: a name of 200 letters of any script, case-folded.
Cursor = Annotated[
    str | None, Query(min_length=1, max_length=4_096, pattern=r"^[\x21-\x7e]+$", description="`nextCursor` of the last")
]


class PageMeta(CamelOut):
    """`next_cursor` is None on the last page; `total` is there when it is known."""

    next_cursor: str | None = None
    total: int | None = None


class PageOut(CamelOut, Generic[Item]):
    """One page."""

    data: list[Item]
    meta: PageMeta


def bad_cursor() -> Problem:
    """422: the cursor is not one of ours (an adapter raised `ValueError`)."""
    return invalid_parameter("cursor", "This is not a cursor of this list.")
