"""What follows the platform's events: the notifier, the indexer, the bridge to a broker."""

from collections.abc import Sequence
from typing import Protocol

from persistence.records import JournalService, NewEvent, OutboxService


class Consumer(Protocol):
    """Takes events at least once, in order per entity. One of each runs at a time in the whole cluster."""

    @property
    def name(self) -> str:
        """Its name in the cursors, stable for ever."""

    @property
    def journals(self) -> Sequence[JournalService]:
        """The journals it follows."""

    @property
    def outboxes(self) -> Sequence[OutboxService]:
        """The outboxes it empties: of each outbox there is one consumer."""

    async def handle(self, events: Sequence[NewEvent]) -> None:
        """Take these in. Returns when their effects are durable; the cursor moves, the outbox rows go, after that.

        Raises anything to get them again, after a while. An event that can never be taken in must not raise: it is
        logged and passed over. Events of a journal are `JournalEvent`s. A batch has events of one journal (of several
        of its shards) or of one outbox.
        """


class BackgroundTask(Protocol):
    """Work beside the consumers, in the same process: one of each runs in the cluster, now and then two for a moment."""

    @property
    def name(self) -> str:
        """For the log."""

    async def run(self) -> None:
        """Work until cancelled. What it raises is logged, and it is run again after a while."""
