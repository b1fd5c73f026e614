"""The outboxes, what is forgotten, the gateway's ledger, and what the audit reads."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from persistence.records import (
    AnswerService,
    Head,
    HostRow,
    JournalEvent,
    JournalService,
    LedgerRow,
    OutboxRow,
    PriceRecord,
    ReturnRow,
    ShardRow,
    SnapshotRow,
    TimerRow,
    ViewRow,
)


class Ledger(Protocol):
    """The gateway's durable ledger: nothing but the gateway's adapter and the audit reads it.

    The sandbox decides by it, as someone else's system would; the Stripe adapter writes down what Stripe said.
    """

    async def put(self, rows: Sequence[LedgerRow]) -> Mapping[str, LedgerRow]:
        """Insert each unless its key is there; returns what stands under each key afterwards."""

    async def find(self, keys: Sequence[str]) -> Mapping[str, LedgerRow]:
        """What stands under these keys."""

    async def close(self) -> None:
        """Let go of connections."""


class Outbox(Protocol):
    """Events of things without a journal: each stays until the one consumer of this outbox has taken it in.

    A consumer is one at a time: its epoch says which. Nothing is leased, so what a dead consumer had in hand is the
    next one's first, in its place.
    """

    async def take(self) -> int:
        """Become its consumer: the epoch, which is returned, goes up, and what the one before removes is refused."""

    async def read(self, limit: int) -> list[OutboxRow]:
        """The oldest rows, in order per entity. They stay until they are done."""

    async def done(self, epoch: int, ids: Sequence[int]) -> bool:
        """Remove rows. False if the epoch is no longer ours: nothing was removed."""


class Retention(Protocol):
    """Removes what nobody asks for any more. Each call takes at most `limit` of each kind, the oldest first.

    Returns how many there were; fewer than `limit` means that no more are so old.
    """

    async def forget_answers(self, service: AnswerService, before_ms: int, limit: int) -> int:
        """Remembered answers of keyed requests that were given before this time."""

    async def forget_refresh(self, before_ms: int, limit: int) -> int:
        """Refresh tokens that expired before this time, and what is remembered of families that ended before it."""

    async def forget_messages(self, before_ms: int, limit: int) -> int:
        """Messages to customers, sent or failed, about what happened before this time."""


class PriceReads(Protocol):
    """What the audit reads of a catalog."""

    def prices(self) -> AsyncIterator[Sequence[PriceRecord]]:
        """Every price version, perhaps twice if it was moved meanwhile. `name` is left empty: it is the product's."""

    async def close(self) -> None:
        """Let go of connections."""


class AuditReads(Protocol):
    """Everything the audit reads: whole tables in pages, each page newer than the one before. Nothing is written.

    Pages are never empty. Rows that are written while their table is read may or may not be among them; rows that
    were there before are.
    """

    async def now_ms(self) -> int:
        """The database's clock."""

    async def hosts(self) -> list[HostRow]:
        """All hosts, also those whose lease has run out."""

    async def shards(self) -> list[ShardRow]:
        """All shards with their owners."""

    async def heads(self, service: JournalService) -> list[Head]:
        """The heads of all shards that were ever fenced."""

    def events(self, service: JournalService, shard: int, up_to_seq: int) -> AsyncIterator[Sequence[JournalEvent]]:
        """One shard's events from the first up to this seq, in seq order."""

    def views(self, service: JournalService) -> AsyncIterator[Sequence[ViewRow]]:
        """Every state row (orders, payments) or read model (inventory) of a service."""

    def snapshots(self) -> AsyncIterator[Sequence[SnapshotRow]]:
        """The newest snapshot of every SKU."""

    async def timers(self, service: JournalService, shard: int) -> list[TimerRow]:
        """Every timer row of a shard."""

    def returns(self) -> AsyncIterator[Sequence[ReturnRow]]:
        """Every return."""

    def ledger(self) -> AsyncIterator[Sequence[LedgerRow]]:
        """Every row of the gateway's ledger, intents too."""

    def prices(self) -> AsyncIterator[Sequence[PriceRecord]]:
        """As `PriceReads.prices`."""

    async def close(self) -> None:
        """Let go of connections."""
