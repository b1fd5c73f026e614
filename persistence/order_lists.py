"""What every adapter's list of all orders has in common: where a page begins, and which orders a filter lets through."""

from typing import Final

import msgspec

from persistence.cursors import decode_number_cursor
from persistence.records import OrderFilter, OrderRow

FOUND_ORDERS: Final = "found-orders"
"""The list's name in its cursors."""

_AFTER_ALL_MS: Final = 2**63 - 1


class _Told(msgspec.Struct):
    email: str = ""


_TOLD: Final = msgspec.json.Decoder(_Told)


def first_place(wanted: OrderFilter, cursor: str | None) -> tuple[int, str]:
    """The place (made at, id) that the page is behind. Raises `ValueError` for a foreign cursor."""
    start = (_AFTER_ALL_MS if wanted.to_ms is None else wanted.to_ms, "")
    return start if cursor is None else min(start, decode_number_cursor(FOUND_ORDERS, cursor))


def matches(wanted: OrderFilter, row: OrderRow) -> bool:
    """Whether the filter lets this order through; its time is not looked at."""
    return (
        (wanted.user_id is None or row.user_id == wanted.user_id)
        and (wanted.status is None or row.status == wanted.status)
        and (wanted.min_total_minor is None or row.total_minor >= wanted.min_total_minor)
        and (wanted.max_total_minor is None or row.total_minor <= wanted.max_total_minor)
        and (wanted.email_key is None or _TOLD.decode(row.state).email.lower() == wanted.email_key)
    )
