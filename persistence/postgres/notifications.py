"""Messages to customers in PostgreSQL."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import astuple

from persistence.cursors import decode_number_cursor, encode_cursor
from persistence.postgres.columns import EVENT_COLUMNS, columns
from persistence.postgres.database import Database
from persistence.postgres.queries import fill_all, load_queries
from persistence.records import NewEvent, NotificationRow

_COLUMNS = NotificationRow.__struct_fields__
_FROM_THE_NEWEST = (2**63 - 1, "")


class PostgresNotifications:
    """Schema `users`. Every change and its event are one statement."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = fill_all(load_queries("notifications"), columns=", ".join(_COLUMNS))

    async def add(self, rows: Sequence[NotificationRow], events: Sequence[NewEvent] = ()) -> frozenset[str]:
        """Insert each unless its event has one on that channel; returns the ids that were inserted."""
        if not rows:
            return frozenset()
        arguments = columns(_COLUMNS, rows) + columns(EVENT_COLUMNS, events)
        records = await self._database.write(self._sql["add"], *arguments)
        return frozenset(record["id"] for record in records)

    async def take_due(self, now_ms: int, lease_ms: int, limit: int) -> list[NotificationRow]:
        """Pending rows that are due, oldest first, taken for `lease_ms`."""
        # As they were due, which the statement has moved: told by when they were made.
        records = await self._database.write(self._sql["take_due"], now_ms, lease_ms, limit)
        return sorted(map(_row, records), key=lambda row: (row.created_at_ms, row.id))

    async def sent(self, notification_id: str, at_ms: int, event: NewEvent) -> None:
        """Mark it sent, with its event in the outbox."""
        await self._database.write(self._sql["end"], notification_id, "sent", at_ms, "", *astuple(event))

    async def retry(self, notification_id: str, due_at_ms: int, error: str) -> None:
        """Make it due again."""
        await self._database.write(self._sql["retry"], notification_id, due_at_ms, error)

    async def fail(self, notification_id: str, at_ms: int, error: str, event: NewEvent) -> None:
        """Give it up, with its event in the outbox."""
        await self._database.write(self._sql["end"], notification_id, "failed", at_ms, error, *astuple(event))

    async def by_id(self, notification_id: str) -> NotificationRow | None:
        """One message."""
        records = await self._database.read(self._sql["by_id"], notification_id)
        return _row(records[0]) if records else None

    async def list(
        self, *, order_id: str | None, status: str | None, limit: int, cursor: str | None
    ) -> tuple[list[NotificationRow], str | None]:
        """Newest first, and the next cursor."""
        behind = _FROM_THE_NEWEST if cursor is None else decode_number_cursor("notifications", cursor)
        name, filters = _statement(order_id, status)
        # One row more than asked tells whether another page follows.
        records = await self._database.read(self._sql[name], *behind, limit + 1, *filters)
        page = [_row(record) for record in records[:limit]]
        more = len(records) > limit
        return page, encode_cursor("notifications", page[-1].created_at_ms, page[-1].id) if more else None


def _statement(order_id: str | None, status: str | None) -> tuple[str, tuple[str | None, ...]]:
    """Each has the index that it needs; one statement for all would be planned for none."""
    if order_id is not None:
        return "list_of_order", (order_id, status)
    if status is None:
        return "list_all", ()
    return ("list_sent", ()) if status == "sent" else ("list_unsent", (status,))


def _row(record: Any) -> NotificationRow:
    return msgspec.convert(dict(record), NotificationRow)
