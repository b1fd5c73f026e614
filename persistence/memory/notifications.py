"""Messages to customers in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

from persistence.cursors import decode_number_cursor, encode_cursor
from persistence.errors import WriteRefused
from persistence.memory.constraints import check_events
from persistence.memory.seams import Seams
from persistence.memory.tables import UserTables
from persistence.records import NewEvent, NotificationRow

Rows: TypeAlias = list[NotificationRow]
"""Named, for inside the class `list` is its method."""


@dataclass(slots=True)
class MemoryNotifications:
    """Rows by id; their events go to the users' outbox."""

    tables: UserTables
    seams: Seams = field(default_factory=Seams)

    async def add(self, rows: Sequence[NotificationRow], events: Sequence[NewEvent] = ()) -> frozenset[str]:
        """Insert each unless its event has one on that channel; returns the ids that were inserted."""
        return await self.seams.call("notifications.add", lambda: self._add(rows, events))

    async def take_due(self, now_ms: int, lease_ms: int, limit: int) -> Rows:
        """Pending rows that are due, oldest first, taken for `lease_ms`."""
        return await self.seams.call("notifications.take_due", lambda: self._take_due(now_ms, lease_ms, limit))

    async def sent(self, notification_id: str, at_ms: int, event: NewEvent) -> None:
        """Mark it sent, with its event in the outbox."""
        await self.seams.call("notifications.sent", lambda: self._end(notification_id, "sent", at_ms, "", event))

    async def retry(self, notification_id: str, due_at_ms: int, error: str) -> None:
        """Make it due again."""
        await self.seams.call(
            "notifications.retry", lambda: self._change(notification_id, due_at_ms=due_at_ms, error=error)
        )

    async def fail(self, notification_id: str, at_ms: int, error: str, event: NewEvent) -> None:
        """Give it up, with its event in the outbox."""
        await self.seams.call("notifications.fail", lambda: self._end(notification_id, "failed", at_ms, error, event))

    async def by_id(self, notification_id: str) -> NotificationRow | None:
        """One message."""
        return await self.seams.call("notifications.by_id", lambda: self.tables.notifications.get(notification_id))

    async def list(
        self, *, order_id: str | None, status: str | None, limit: int, cursor: str | None
    ) -> tuple[Rows, str | None]:
        """Newest first, and the next cursor."""
        behind = None if cursor is None else decode_number_cursor("notifications", cursor)
        return await self.seams.call("notifications.list", lambda: self._list(order_id, status, limit, behind))

    def _add(self, rows: Sequence[NotificationRow], events: Sequence[NewEvent]) -> frozenset[str]:
        for row in rows:
            _check(row)
        check_events(events)
        held = self.tables.notifications
        told = {(row.event_id, row.channel) for row in held.values()}
        added: list[str] = []
        for row in rows:
            if row.id not in held and (row.event_id, row.channel) not in told:
                held[row.id] = row
                told.add((row.event_id, row.channel))
                added.append(row.id)
        for event in events:
            if event.entity_id in added:
                self.tables.outbox.add(event)
        return frozenset(added)

    def _take_due(self, now_ms: int, lease_ms: int, limit: int) -> Rows:
        rows = self.tables.notifications.values()
        due = sorted(
            (row for row in rows if row.status == "pending" and row.due_at_ms <= now_ms),
            key=lambda row: (row.due_at_ms, row.id),
        )
        for row in due[:limit]:
            self._change(row.id, due_at_ms=now_ms + lease_ms, attempts=row.attempts + 1)
        taken = [self.tables.notifications[row.id] for row in due[:limit]]
        return sorted(taken, key=lambda row: (row.created_at_ms, row.id))

    def _end(self, notification_id: str, status: str, at_ms: int, error: str, event: NewEvent) -> None:
        check_events([event])
        if self._change(notification_id, status=status, ended_at_ms=at_ms, error=error):
            self.tables.outbox.add(event)

    def _change(self, notification_id: str, **changes: Any) -> bool:
        row = self.tables.notifications.get(notification_id)
        if row is None or row.status != "pending":
            return False
        self.tables.notifications[notification_id] = msgspec.structs.replace(row, **changes)
        return True

    def _list(
        self, order_id: str | None, status: str | None, limit: int, behind: tuple[int, str] | None
    ) -> tuple[Rows, str | None]:
        rows = [
            row
            for row in self.tables.notifications.values()
            if (order_id is None or row.order_id == order_id)
            and (status is None or row.status == status)
            and (behind is None or (row.created_at_ms, row.id) < behind)
        ]
        rows.sort(key=lambda row: (row.created_at_ms, row.id), reverse=True)
        page = rows[:limit]
        more = len(rows) > limit
        return page, encode_cursor("notifications", page[-1].created_at_ms, page[-1].id) if more else None


def _check(row: NotificationRow) -> None:
    texts = (row.recipient, row.subject, row.text_body, row.html_body)
    if not row.recipient or any("\x00" in text for text in texts):
        raise WriteRefused(f"notification {row.id} has no recipient, or NUL in its text")
    if (row.status == "pending") != (row.ended_at_ms is None) or row.attempts < 0:
        raise WriteRefused(f"notification {row.id} ended and did not, or has negative attempts")
