"""What a shard knows of one of its journals."""

import asyncio

from actors.runtime.low_water import EntityKey, LowWater
from persistence.records import Head, JournalEvent, JournalService


class ShardJournal:
    """Where one journal of the shard ends, and from where it is still needed."""

    __slots__ = (
        "events_since_round",
        "low_water",
        "round_running",
        "seq",
        "service",
        "snapshot_bytes",
        "tail",
        "tail_read",
    )

    def __init__(self, head: Head, service: JournalService) -> None:
        self.service = service
        self.seq = head.seq
        """The last committed event's."""
        self.low_water = LowWater(floor=max(head.low_water, 1))
        self.events_since_round = 0
        """Events since every changed SKU had a snapshot."""
        self.round_running = False
        self.snapshot_bytes = 0
        """What the last round wrote."""
        self.tail: dict[EntityKey, list[JournalEvent]] = {}
        """What a recovery read, by entity, until the entity wakes up."""
        self.tail_read = asyncio.Event()
