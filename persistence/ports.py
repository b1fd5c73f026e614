"""What the platform needs of its stores. Every adapter of a port passes that port's contract suite.

Every method may raise `StoreUnavailable` (definite: nothing happened). Writing methods may raise
`OutcomeUnknown` (it may have happened, or may yet) and `WriteRefused` (definite: refused data).
Times are milliseconds since the epoch of the *database's* clock; money is integer minor units.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from persistence.errors import WriteRefused
from persistence.records import (
    AdminRecord,
    AnswerService,
    CartRecord,
    CartWrite,
    CatalogSku,
    CategoryRecord,
    FoundOrders,
    Head,
    HostRow,
    IdempotencyRow,
    JournalEvent,
    JournalService,
    LedgerRow,
    NewEvent,
    NotificationRow,
    OrderFilter,
    OrderRow,
    OutboxRow,
    Page,
    PaymentRow,
    PaymentTotals,
    PriceRecord,
    ProductQuery,
    ProductRecord,
    ProductWrite,
    RefreshTokenRecord,
    ReturnRow,
    SearchPage,
    SearchQuery,
    ShardBatch,
    ShardRow,
    SnapshotRow,
    StatusTotals,
    StockRow,
    StockTotals,
    TimerRow,
    UserRecord,
    UserTotals,
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

    async def read_behind(self, positions: Mapping[int, int], limit: int) -> list[JournalEvent]:
        """What follows these seqs in these shards, at most `limit` events of each; each shard's in seq order."""

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

    async def find(self, wanted: OrderFilter, *, limit: int, cursor: str | None, scan_max: int) -> FoundOrders:
        """The orders that the filter lets through, newest first, and the cursor behind them; None at the end.

        At most about `scan_max` orders are looked at in one call, so a page may be short, or empty, with more behind it.
        Raises `ValueError` for a cursor that this adapter did not make.
        """

    async def totals(self, from_ms: int, to_ms: int) -> Sequence[StatusTotals]:
        """The orders made in [from, to), by the status they have now; no row for a status that none has."""


class Payments(Protocol):
    """Reads of `payments_view`, on the primary. Keyed by order id (the entity's id)."""

    async def load(self, order_ids: Sequence[str]) -> Mapping[str, PaymentRow]:
        """The rows that exist, by order id."""

    async def by_id(self, payment_id: str) -> PaymentRow | None:
        """One payment by its own id."""

    async def totals(self, from_ms: int, to_ms: int) -> PaymentTotals:
        """The payments made in [from, to)."""


class Stock(Protocol):
    """Reads of `stock_view`, and what a SKU needs besides its journal."""

    async def load(self, skus: Sequence[str]) -> Mapping[str, StockRow]:
        """The rows that exist."""

    async def in_stock(self) -> frozenset[str]:
        """Every SKU with on_hand > reserved."""

    async def levels(self, *, prefix: str, behind: str, available_max: int | None, limit: int) -> list[StockRow]:
        """The SKUs behind `behind` ("" from the first) that begin with `prefix`, by code point; at most `limit`.

        With `available_max` only those of which at most so many can be bought.
        """

    async def best_sold(self, limit: int) -> list[StockRow]:
        """The SKUs that sold most, best first; none that sold nothing."""

    async def totals(self, low_max: int) -> StockTotals:
        """Counts of all SKUs; low is what has at most `low_max` units to buy."""

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

    async def save_products(self, writes: Sequence[ProductWrite]) -> Mapping[str, WriteRefused]:
        """Write many, each as `save_product` would: product id → why it was refused; the others are written together.

        A SKU that one of them lets go may be another's. At most one write a product (`ValueError`). Raises
        `StoreUnavailable` if nothing was written, `OutcomeUnknown`.
        """

    async def products_by_id(self, product_ids: Sequence[str]) -> Mapping[str, ProductRecord]:
        """Those of these products that are there."""

    async def products_behind(self, product_id: str, limit: int) -> list[ProductRecord]:
        """Whole products by id (code points), behind this id ("" from the first). Empty at the end.

        Read page by page, every product that is there all the while comes once, whatever is changed meanwhile.
        """

    async def delete_product(self, product_id: str, expected_version: int, events: Sequence[NewEvent]) -> None:
        """Leave a tombstone. Its SKUs' prices are replaced by nothing: they can no longer be bought."""

    async def categories(self) -> list[CategoryRecord]:
        """All categories by name, with product counts."""

    async def category(self, category_id: str) -> CategoryRecord | None:
        """One category with its product count."""

    async def category_ids(self) -> frozenset[str]:
        """The ids of all categories: cheap, for who only checks them."""

    async def save_category(self, category: CategoryRecord, expected_version: int) -> None:
        """Write at `expected_version` (0 = create). Raises `StaleVersion`, `AlreadyExists`."""

    async def delete_category(self, category_id: str, expected_version: int) -> None:
        """Remove a category; products keep existing without it."""

    async def prices(self, skus: Sequence[str]) -> Mapping[str, PriceRecord]:
        """The newest price version of each SKU that can be bought."""

    async def skus(self, *, text: str, behind: str, limit: int) -> list[CatalogSku]:
        """The SKUs on sale behind `behind` ("" from the first), by code point; at most `limit`.

        With a `text` those that begin with it, or whose product's name contains it in any case.
        """

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

    async def by_ids(self, user_ids: Sequence[str]) -> Mapping[str, UserRecord]:
        """The accounts that exist, by id."""

    async def rename(self, user_id: str, first_name: str, last_name: str) -> UserRecord | None:
        """Change the names; None if there is no such account."""

    async def set_password(self, user_id: str, expected_version: int, password_hash: str, event: NewEvent) -> None:
        """Store a new hash, raise the password version, drop all refresh tokens. Raises `StaleVersion`."""

    async def set_role(self, user_id: str, expected_version: int, role: str, event: NewEvent) -> None:
        """Change the role, raise the password version, drop all refresh tokens. Raises `StaleVersion`."""

    async def password_versions(self, user_ids: Sequence[str]) -> Mapping[str, int]:
        """The current password version of each account that exists."""

    async def add_refresh(self, token: RefreshTokenRecord) -> None:
        """Remember a refresh token."""

    async def use_refresh(self, token_hash: str, now_ms: int) -> RefreshTokenRecord | None:
        """Mark it used and return it as it was *before*: `used_at_ms` not None means reuse. None: unknown, or dropped."""

    async def drop_family(self, family: str) -> None:
        """Revoke every token of a family, also one that is added to it afterwards."""

    async def totals(self, since_ms: int) -> UserTotals:
        """Counts of the customers' accounts; new are those made at `since_ms` or later."""

    async def close(self) -> None:
        """Let go of connections."""

    async def list(
        self, *, email: str | None, role: str | None, limit: int, cursor: str | None
    ) -> tuple[list[UserRecord], str | None]:
        """Newest first, and the next cursor; `email` is the beginning of a case-folded one.

        Raises `ValueError` for a cursor that this adapter did not make.
        """


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

    async def add(self, rows: Sequence[NotificationRow], events: Sequence[NewEvent] = ()) -> frozenset[str]:
        """Insert each unless its event has one on that channel; returns the ids that were inserted.

        An event goes to the outbox, in the same statement, if the row that it names (`entity_id`) was inserted.
        """

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


class Mailer(Protocol):
    """Hands the messages of one channel over to whoever delivers them."""

    async def send(self, message: NotificationRow) -> None:
        """Returns when it was taken over. Raises `NotDelivered`; it was then perhaps taken over all the same.

        The same message carries the same id every time it is sent, so that its receiver can drop a repeat.
        """

    async def close(self) -> None:
        """Let go of connections."""


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
        """Make the index anew from these; searches see the old one until the new one is whole. How many there are.

        What is indexed and removed meanwhile is in the new one too. Raises `StaleVersion` if another rebuild has begun.
        """

    async def is_built(self) -> bool:
        """Whether a rebuild was ever finished: if not, products from before the index may be missing."""


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
        """Every price version. `name` is left empty: it is the product's."""

    async def close(self) -> None:
        """Let go of connections."""
