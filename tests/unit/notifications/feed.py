"""Feeds a notifier what the shop in memory has done, as the consumers' process does."""

from dataclasses import dataclass, field

from actors.notifications.settings import NotificationSettings
from actors.notifier import Notifier
from persistence.ports import Mailer
from persistence.records import Channel, NewEvent, NotificationRow
from persistence.stores import Stores
from tests.shop_world import SHARDS, wall_ms

READ_MAX = 1_000


@dataclass
class Feed:
    """One notifier and how far it has read."""

    stores: Stores
    settings: NotificationSettings = field(default_factory=NotificationSettings)
    read: dict[int, int] = field(default_factory=dict)

    @property
    def notifier(self) -> Notifier:
        return Notifier(self.stores, wall_ms, self.settings)

    async def news(self) -> list[NewEvent]:
        """Everything since the last time, the outbox first."""
        outbox = self.stores.outboxes["users"]
        rows = await outbox.read(READ_MAX)
        await outbox.done(await outbox.take(), [row.id for row in rows])
        found: list[NewEvent] = [row.event for row in rows]
        for shard in range(SHARDS):
            events = await self.stores.journals["orders"].read(shard, self.read.get(shard, 0), READ_MAX)
            found += events
            if events:
                self.read[shard] = events[-1].seq
        return found

    async def follow(self) -> None:
        """Tell the notifier all that is new."""
        if events := await self.news():
            await self.notifier.handle(events)

    async def messages(self, order_id: str | None = None, channel: Channel = "email") -> list[NotificationRow]:
        """All that there are, oldest first."""
        rows, _ = await self.stores.notifications.list(order_id=order_id, status=None, limit=100, cursor=None)
        return [row for row in reversed(rows) if row.channel == channel]

    async def types(self, order_id: str) -> list[str]:
        """The types of an order's mails."""
        return sorted(row.type for row in await self.messages(order_id))


def with_mailer(stores: Stores, channel: Channel, mailer: Mailer) -> Stores:
    """The same stores, sending this channel's messages."""
    stores.mailers[channel] = mailer
    return stores
