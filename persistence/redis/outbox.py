"""The carts' outbox in Redis: a stream that `save_carts.lua` and `delete_cart.lua` write."""

from collections.abc import Sequence

from persistence.records import OWN_TOPICS, OutboxRow
from persistence.redis import keys
from persistence.redis.events import event_of
from persistence.redis.scripts import load_script
from persistence.redis.server import RedisConnections

_TOPIC = "cart-events"


class RedisOutbox:
    """Events stay until the consumer whose epoch is the newest is done with them.

    A stream keeps the number of its last entry when it is empty, so an id is never given twice. Epoch and stream are
    lost together, if ever: an older consumer then finds no epoch, and stops.
    """

    def __init__(self, connections: RedisConnections) -> None:
        self._connections = connections
        self._take = load_script("take_outbox")
        self._done = load_script("done_outbox")

    async def take(self) -> int:
        """Become its consumer."""
        return int(await self._connections.run(self._take, (keys.OUTBOX_EPOCH,), ()))

    async def read(self, limit: int) -> list[OutboxRow]:
        """The oldest events."""
        (entries,) = await self._connections.read(("XRANGE", keys.OUTBOX, "-", "+", "COUNT", limit))
        rows = []
        for entry_id, fields in entries:
            event = event_of(fields)
            topic = OWN_TOPICS.get(event.entity_type, _TOPIC)
            rows.append(OutboxRow(id=int(entry_id.partition(b"-")[2]), topic=topic, event=event))
        return rows

    async def done(self, epoch: int, ids: Sequence[int]) -> bool:
        """Remove events, if the epoch is ours."""
        names = (keys.OUTBOX_EPOCH, keys.OUTBOX)
        return bool(await self._connections.run(self._done, names, (epoch, *(f"0-{entry}" for entry in ids))))
