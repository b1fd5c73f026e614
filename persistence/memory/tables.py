"""The tables behind the memory adapters. Several sets of adapters (one a simulated host) may share one."""

from dataclasses import dataclass, field

from persistence.records import (
    CartRecord,
    CategoryRecord,
    Head,
    HostRow,
    IdempotencyRow,
    JournalEvent,
    JournalService,
    LedgerRow,
    NewEvent,
    OutboxRow,
    PriceRecord,
    ProductRecord,
    RefreshTokenRecord,
    ShardRow,
    SnapshotRow,
    TimerRow,
    UserRecord,
    ViewRow,
)

AnswerKey = tuple[str, str, str]
"""Principal, route, key."""


def answer_key(row: IdempotencyRow) -> AnswerKey:
    """The primary key of a remembered answer."""
    return (row.principal, row.route, row.key)


@dataclass(slots=True)
class ClusterTables:
    """Schema `cluster`."""

    hosts: dict[tuple[str, str], HostRow] = field(default_factory=dict)
    shards: dict[int, ShardRow] = field(default_factory=dict)


@dataclass(slots=True)
class JournalTables:
    """One service's schema: journal, heads, state rows and what else an append writes."""

    heads: dict[int, Head] = field(default_factory=dict)
    journal: dict[int, list[JournalEvent]] = field(default_factory=dict)
    views: dict[str, ViewRow] = field(default_factory=dict)
    timers: dict[tuple[int, str, str], TimerRow] = field(default_factory=dict)
    idempotency: dict[AnswerKey, IdempotencyRow] = field(default_factory=dict)
    returns: set[tuple[str, str]] = field(default_factory=set)
    snapshots: dict[tuple[int, str, str], SnapshotRow] = field(default_factory=dict)
    payments_of: dict[str, set[str]] = field(default_factory=dict)
    """Payment ids by order id (payments only)."""


@dataclass(slots=True)
class OutboxTable:
    """Events waiting to be published, with until when each is taken (ms)."""

    topic: str
    rows: dict[int, OutboxRow] = field(default_factory=dict)
    taken_until_ms: dict[int, int] = field(default_factory=dict)
    last_id: int = 0

    def add(self, event: NewEvent) -> None:
        """Append one event."""
        self.last_id += 1
        self.rows[self.last_id] = OutboxRow(id=self.last_id, topic=self.topic, event=event)


@dataclass(slots=True)
class CartTables:
    """The carts' store."""

    carts: dict[str, CartRecord] = field(default_factory=dict)
    idempotency: dict[AnswerKey, IdempotencyRow] = field(default_factory=dict)
    outbox: OutboxTable = field(default_factory=lambda: OutboxTable("cart-events"))


@dataclass(slots=True)
class CatalogTables:
    """The catalog's store. A deleted product stays as a tombstone: its id in `tombstones`."""

    products: dict[str, ProductRecord] = field(default_factory=dict)
    tombstones: dict[str, int] = field(default_factory=dict)
    categories: dict[str, CategoryRecord] = field(default_factory=dict)
    skus: dict[str, str] = field(default_factory=dict)
    """Product id by SKU, of live variants."""
    prices: dict[str, list[PriceRecord]] = field(default_factory=dict)
    outbox: OutboxTable = field(default_factory=lambda: OutboxTable("catalog-events"))


@dataclass(slots=True)
class UserTables:
    """Schema `users`."""

    users: dict[str, UserRecord] = field(default_factory=dict)
    ids_by_email: dict[str, str] = field(default_factory=dict)
    refresh: dict[str, RefreshTokenRecord] = field(default_factory=dict)
    outbox: OutboxTable = field(default_factory=lambda: OutboxTable("user-events"))


@dataclass(slots=True)
class MemoryTables:
    """Everything that is durable in a simulated world."""

    cluster: ClusterTables = field(default_factory=ClusterTables)
    journals: dict[JournalService, JournalTables] = field(
        default_factory=lambda: {"orders": JournalTables(), "inventory": JournalTables(), "payments": JournalTables()}
    )
    carts: CartTables = field(default_factory=CartTables)
    catalog: CatalogTables = field(default_factory=CatalogTables)
    users: UserTables = field(default_factory=UserTables)
    ledger: dict[str, LedgerRow] = field(default_factory=dict)
