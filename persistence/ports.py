"""What the platform needs of its stores. Every adapter of a port passes that port's contract suite.

Every method may raise `StoreUnavailable` (definite: nothing happened). Writing methods may raise
`OutcomeUnknown` (it may have happened, or may yet) and `WriteRefused` (definite: refused data).
Times are milliseconds since the epoch of the *database's* clock; money is integer minor units.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from persistence.records import (
    AdminRecord,
    CartRecord,
    CartWrite,
    CategoryRecord,
    Head,
    HostRow,
    IdempotencyRow,
    JournalEvent,
    JournalService,
    LedgerRow,
    NewEvent,
    NotificationRow,
    OrderRow,
    OutboxRow,
    Page,
    PaymentRow,
    PriceRecord,
    ProductQuery,
    ProductRecord,
    RefreshTokenRecord,
    ReturnRow,
    SearchPage,
    SearchQuery,
    ShardBatch,
    ShardRow,
    SnapshotRow,
    StockRow,
    TimerRow,
    UserRecord,
    ViewRow,
)


class Ownership(Protocol):
    """The cluster's rows: who lives, and who owns which shard. Each write is one conditional statement."""

    async def now_ms(self) -> int:
        """The database's clock."""

    async def prepare(self, shard_count: int) -> None:
        """Make the rows of all shards once. Raises `WriteRefused` if another count is recorded."""

    async def join(self, host: HostRow, ttl_ms: int) -> HostRow:
        """Insert this host's row with a lease of `ttl_ms`; a row of the same host and incarnation is replaced."""

    async def renew(self, host: str, incarnation: str, weight: float, ttl_ms: int) -> int | None:
        """Prolong the lease; returns the new `expires_at_ms`, or None if the row is gone (we were buried)."""

    async def leave(self, host: str, incarnation: str) -> None:
        """Delete this host's row (orderly stop)."""

    async def bury(self, host: str, incarnation: str, *, exit_reported: bool) -> bool:
        """Delete another's row if its lease has run out, or its process's exit was reported. True if deleted."""

    async def hosts(self) -> list[HostRow]:
        """All rows, also those whose lease has run out and that nobody buried yet."""

    async def shards(self) -> list[ShardRow]:
        """All shards with their owners."""

    async def claim(self, shard: int, host: str, incarnation: str, at_least_epoch: int = 0) -> int | None:
        """Take a shard that is free, ours, or whose owner has no row in hosts.

        Raises the epoch to max(epoch, at_least_epoch) + 1 and returns it; None if another living host owns it.
        """

    async def hand_off(self, shard: int, host: str, incarnation: str, epoch: int, to: str, to_incarnation: str) -> bool:
        """Give a shard that is ours at exactly this epoch to another. The epoch stays; the receiver claims."""

    async def close(self) -> None:
        """Let go of connections."""


class Journal(Protocol):
    """One service's journal, with its state rows, timers and answers: everything one append writes."""

    @property
    def service(self) -> JournalService:
        """Which service's journal this is."""

    async def heads(self) -> list[Head]:
        """The heads of all shards that were ever fenced."""

    async def fence(self, shard: int, epoch: int) -> Head | None:
        """Raise the shard's epoch. None if its epoch is already `epoch` or higher: claim higher, fence again.

        Runs on a connection of its own, so that it waits for (or fences) a statement that another left behind.
        A shard without a head gets one at seq 0.
        """

    async def append(self, batches: Sequence[ShardBatch]) -> frozenset[tuple[int, int]]:
        """Write every batch whose epoch and expected seq are the head's; one statement, one round trip.

        Returns the (shard, epoch) pairs that were written. One that is missing was not written at all.
        A batch without events may still move timers, returns, idempotency rows and the low-water mark.
        Raises `WriteRefused`: nothing of the call was written. `OutcomeUnknown`: each batch maybe.
        """

    async def read(self, shard: int, after_seq: int, limit: int) -> list[JournalEvent]:
        """Events of one shard with seq > after_seq, in seq order."""

    async def read_at(self, shard: int, seqs: Sequence[int]) -> list[JournalEvent]:
        """The events at these seqs, in seq order (an entity's history)."""

    async def timers(self, shard: int) -> list[TimerRow]:
        """Every timer row of a shard."""

    async def answer(self, principal: str, route: str, key: str) -> IdempotencyRow | None:
        """The remembered answer of a keyed request."""

    async def close(self) -> None:
        """Let go of connections."""


class Orders(Protocol):
    """Reads of `orders_view`, on the primary."""

    async def load(self, ids: Sequence[str]) -> Mapping[str, OrderRow]:
        """The rows that exist."""

    async def list(self, *, user_id: str | None, status: str | None, limit: int, cursor: str | None) -> Page:
        """Newest first. Raises `ValueError` for a cursor that this adapter did not make."""


class Payments(Protocol):
    """Reads of `payments_view`, on the primary. Keyed by order id (the entity's id)."""

    async def load(self, order_ids: Sequence[str]) -> Mapping[str, PaymentRow]:
        """The rows that exist, by order id."""

    async def by_id(self, payment_id: str) -> PaymentRow | None:
        """One payment by its own id."""


class Stock(Protocol):
    """Reads of `stock_view`, and what a SKU needs besides its journal."""

    async def load(self, skus: Sequence[str]) -> Mapping[str, StockRow]:
        """The rows that exist."""

    async def in_stock(self) -> frozenset[str]:
        """Every SKU with on_hand > reserved."""

    async def snapshots(self, shard: int, skus: Sequence[str] | None = None) -> list[SnapshotRow]:
        """The newest snapshot of each of these SKUs (None: of every SKU in the shard)."""

    async def save_snapshots(self, shard: int, epoch: int, snapshots: Sequence[SnapshotRow]) -> bool:
        """Write snapshots if the head's epoch is `epoch` and its seq has reached every snapshot's. Else False.

        An older snapshot never replaces a newer one.
        """

    async def returned(self, order_id: str, sku: str) -> bool:
        """Whether this order's units of this SKU were taken back already."""


class Carts(Protocol):
    """The carts: a key-value store with compare-and-set, its outbox and its record of answers."""

    async def load(self, ids: Sequence[str]) -> Mapping[str, CartRecord]:
        """The carts that exist and have not expired."""

    async def save(self, writes: Sequence[CartWrite]) -> frozenset[str]:
        """Compare-and-set each; returns the ids written. One that is missing was not written at all."""

    async def delete(self, cart_id: str, expected_version: int, events: Sequence[NewEvent] = ()) -> bool:
        """Remove an expired cart at exactly this version; its last event goes to the outbox."""

    async def expired(self, before_ms: int, limit: int) -> list[CartRecord]:
        """Carts whose expiry is before `before_ms`, oldest first."""

    async def answer(self, principal: str, route: str, key: str) -> IdempotencyRow | None:
        """The remembered answer of a keyed request."""

    async def close(self) -> None:
        """Let go of connections."""


class Catalog(Protocol):
    """The catalog's write model: documents with versions, and every price version."""

    async def products(self, query: ProductQuery) -> tuple[list[ProductRecord], str | None, int]:
        """A page, the next cursor, and the total. Raises `ValueError` for a foreign cursor."""

    async def product(self, product_id: str) -> ProductRecord | None:
        """One product; None if it is not there (or deleted)."""

    async def save_product(self, product: ProductRecord, expected_version: int, events: Sequence[NewEvent]) -> None:
        """Write at `expected_version` (0 = create), with its pending events and new price versions.

        Raises `StaleVersion` (also for a price version that is taken), `AlreadyExists` (id taken, or a SKU belongs to
        another product).
        """

    async def delete_product(self, product_id: str, expected_version: int, events: Sequence[NewEvent]) -> None:
        """Leave a tombstone. Its SKUs' prices are replaced by nothing: they can no longer be bought."""

    async def categories(self) -> list[CategoryRecord]:
        """All categories by name, with product counts."""

    async def save_category(self, category: CategoryRecord, expected_version: int) -> None:
        """Write at `expected_version` (0 = create). Raises `StaleVersion`, `AlreadyExists`."""

    async def delete_category(self, category_id: str, expected_version: int) -> None:
        """Remove a category; products keep existing without it."""

    async def prices(self, skus: Sequence[str]) -> Mapping[str, PriceRecord]:
        """The newest price version of each SKU that can be bought."""

    async def close(self) -> None:
        """Let go of connections."""


class Users(Protocol):
    """Accounts, refresh tokens, and their transactional outbox."""

    async def add(self, user: UserRecord, event: NewEvent) -> None:
        """Create an account. Raises `AlreadyExists` if the e-mail is taken (case-insensitive)."""

    async def by_id(self, user_id: str) -> UserRecord | None:
        """One account."""

    async def by_email(self, email_key: str) -> UserRecord | None:
        """One account by its case-folded e-mail."""

    async def rename(self, user_id: str, first_name: str, last_name: str) -> UserRecord | None:
        """Change the names; None if there is no such account."""

    async def set_password(self, user_id: str, expected_version: int, password_hash: str, event: NewEvent) -> None:
        """Store a new hash, raise the password version, drop all refresh tokens. Raises `StaleVersion`."""

    async def password_versions(self, user_ids: Sequence[str]) -> Mapping[str, int]:
        """The current password version of each account that exists."""

    async def add_refresh(self, token: RefreshTokenRecord) -> None:
        """Remember a refresh token."""

    async def use_refresh(self, token_hash: str, now_ms: int) -> RefreshTokenRecord | None:
        """Mark it used and return it as it was *before*: `used_at_ms` not None means reuse. None: unknown."""

    async def drop_family(self, family: str) -> None:
        """Revoke every token of a family."""

    async def close(self) -> None:
        """Let go of connections."""


class Ledger(Protocol):
    """The sandbox gateway's durable ledger. It stands for someone else's system: nothing else reads it but the audit."""

    async def put(self, rows: Sequence[LedgerRow]) -> Mapping[str, LedgerRow]:
        """Insert each unless its key is there; returns what stands under each key afterwards."""

    async def find(self, keys: Sequence[str]) -> Mapping[str, LedgerRow]:
        """What stands under these keys."""

    async def close(self) -> None:
        """Let go of connections."""


class Cursors(Protocol):
    """How far each consumer has read one service's journal. A consumer is one at a time: its epoch says which."""

    @property
    def service(self) -> JournalService:
        """Which service's journal this is about."""

    async def take(self, consumer: str) -> tuple[int, Mapping[int, int]]:
        """Become this consumer: its epoch goes up, and what the one before still writes is refused.

        Returns the epoch and the seq that each shard was read up to; a shard that is missing was never read.
        """

    async def advance(self, consumer: str, epoch: int, seqs: Mapping[int, int]) -> bool:
        """Move shards' cursors forward, never back. False if the epoch is no longer ours: nothing was written."""

    async def positions(self, consumer: str) -> Mapping[int, int]:
        """The seq that each shard was read up to, without becoming the consumer (lag, audit)."""


class Notifications(Protocol):
    """Messages to customers: the built-in mailbox, and what is to be sent."""

    async def add(self, rows: Sequence[NotificationRow]) -> frozenset[str]:
        """Insert each unless its event has one on that channel; returns the ids that were inserted."""

    async def take_due(self, now_ms: int, lease_ms: int, limit: int) -> list[NotificationRow]:
        """Pending rows that are due, oldest first. Each is taken: not due again before `now_ms + lease_ms`.

        `attempts` counts this one already.
        """

    async def sent(self, notification_id: str, at_ms: int, event: NewEvent) -> None:
        """Mark it sent, with its event in the outbox. Does nothing unless it is pending."""

    async def retry(self, notification_id: str, due_at_ms: int, error: str) -> None:
        """Make it due again. Does nothing unless it is pending."""

    async def fail(self, notification_id: str, at_ms: int, error: str, event: NewEvent) -> None:
        """Give it up, with its event in the outbox. Does nothing unless it is pending."""

    async def by_id(self, notification_id: str) -> NotificationRow | None:
        """One message."""

    async def list(
        self, *, order_id: str | None, status: str | None, limit: int, cursor: str | None
    ) -> tuple[list[NotificationRow], str | None]:
        """Newest first, and the next cursor. Raises `ValueError` for a cursor that this adapter did not make."""


class AdminRecords(Protocol):
    """What administrators and services did, append-only."""

    async def add(self, record: AdminRecord) -> None:
        """Keep one."""

    async def list(self, *, actor: str | None, limit: int, cursor: str | None) -> tuple[list[AdminRecord], str | None]:
        """Newest first, and the next cursor. Raises `ValueError` for a cursor that this adapter did not make."""


class ProductSearch(Protocol):
    """The search index of products: a read model, fed by the indexer. The greater version wins."""

    async def index(self, products: Sequence[ProductRecord]) -> None:
        """Add or replace each, unless the index has a greater version of it (a removed one counts)."""

    async def remove(self, products: Mapping[str, int]) -> None:
        """Remove products that were deleted at these versions, unless the index has a greater one."""

    async def search(self, query: SearchQuery) -> SearchPage:
        """Tolerates typing errors. Raises `ValueError` for a foreign cursor."""

    async def suggest(self, text: str, limit: int) -> list[str]:
        """Completions of what was typed so far, best first."""

    async def rebuild(self, products: AsyncIterator[Sequence[ProductRecord]]) -> int:
        """Make the index anew from these; searches see the old one until the new one is whole. How many there are."""


class Outbox(Protocol):
    """Events of things without a journal, to be published in order and then removed."""

    async def take(self, limit: int) -> list[OutboxRow]:
        """The oldest rows nobody else has taken."""

    async def done(self, ids: Sequence[int]) -> None:
        """Remove published rows."""


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
        """Every movement in the sandbox gateway's ledger."""

    def prices(self) -> AsyncIterator[Sequence[PriceRecord]]:
        """Every price version. `name` is left empty: it is the product's."""

    async def close(self) -> None:
        """Let go of connections."""
