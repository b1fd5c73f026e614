"""The sender over memory stores, a clock that tests move, and a mailer that does what a test says."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from actors.notifications.sender import Sender
from actors.notifications.settings import NotificationSettings
from persistence.memory.seams import Seams
from persistence.memory.tables import MemoryTables
from persistence.records import NotificationRow
from persistence.stores import Stores, open_memory_stores
from tests.contract.test_notifications import message


async def _taken(_row: NotificationRow) -> None:
    """Handed over."""


@dataclass
class Mailbox:
    """Takes every message after `behave` let it; counts them."""

    behave: Callable[[NotificationRow], Awaitable[None]] = _taken
    taken: list[str] = field(default_factory=list)
    at_once: int = 0
    at_once_most: int = 0

    async def send(self, row: NotificationRow) -> None:
        self.at_once += 1
        self.at_once_most = max(self.at_once_most, self.at_once)
        try:
            await self.behave(row)
        finally:
            self.at_once -= 1
        self.taken.append(row.id)

    async def close(self) -> None: ...


def failing(*faults: Exception) -> Callable[[NotificationRow], Awaitable[None]]:
    left = list(faults)

    async def behave(_row: NotificationRow) -> None:
        if left:
            raise left.pop(0)

    return behave


class World:
    """A sender that can be started again, its clock and its store."""

    def __init__(self, seams: Seams | None = None) -> None:
        self.now_ms = 1_000
        self.tables = MemoryTables()
        self.stores: Stores = open_memory_stores(lambda: self.now_ms, tables=self.tables, seams=seams)
        self.mailbox = Mailbox()

    def sender(self, **settings: Any) -> Sender:
        return Sender(
            self.stores.notifications,
            {"email": self.mailbox},
            lambda: self.now_ms,
            settings=NotificationSettings(**settings),
            chance=lambda: 1.0,
        )

    async def add(self, *numbers: int, **changes: Any) -> None:
        await self.stores.notifications.add([message(number, **changes) for number in numbers])

    def row(self, number: int = 1) -> NotificationRow:
        return self.tables.users.notifications[f"ntf_{number}"]

    def told(self) -> list[str]:
        return [row.event.type for row in self.tables.users.outbox.rows.values()]
