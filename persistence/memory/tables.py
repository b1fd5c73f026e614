"""The tables behind the memory adapters. Several sets of adapters (one a simulated host) may share one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from persistence.records import (
    OWN_TOPICS,
    AdminRecord,
    CartRecord,
    CategoryRecord,
    Head,
    HostRow,
    IdempotencyRow,
    JournalEvent,
    JournalService,
    LedgerRow,
    NewEvent,
    NotificationRow,
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
from persistence.search_documents import SearchDocument, document_of, replaces

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
    consumers: dict[str, int] = field(default_factory=dict)
    """The epoch of each consumer."""
    cursors: dict[str, dict[int, int]] = field(default_factory=dict)
    """How far each consumer has read each shard."""


@dataclass(slots=True)
class OutboxTable:
    """Events waiting for the outbox's one consumer, and its epoch."""

    topic: str
    rows: dict[int, OutboxRow] = field(default_factory=dict)
    last_id: int = 0
    epoch: int = 0

    def add(self, event: NewEvent) -> None:
        """Append one event."""
        self.last_id += 1
        topic = OWN_TOPICS.get(event.entity_type, self.topic)
        self.rows[self.last_id] = OutboxRow(id=self.last_id, topic=topic, event=event)


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
class SearchIndex:
    """One build of the search index. What was removed keeps its version."""

    documents: dict[str, SearchDocument] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)

    def put(self, products: Iterable[ProductRecord]) -> None:
        """Add or replace those that are newer than what is held."""
        for product in products:
            if replaces(self._held(product.id), product.version, removed=False):
                self.documents[product.id] = document_of(product)
                self.removed.pop(product.id, None)

    def remove(self, products: Mapping[str, int]) -> None:
        """Remove those that are not newer."""
        for product_id, version in products.items():
            if replaces(self._held(product_id), version, removed=True):
                self.documents.pop(product_id, None)
                self.removed[product_id] = version

    def keep_removals(self, other: "SearchIndex") -> None:
        """What `other` removed and this one does not have stays removed."""
        for product_id, version in other.removed.items():
            if self._held(product_id) is None:
                self.removed[product_id] = version

    def _held(self, product_id: str) -> tuple[int, bool] | None:
        if product_id in self.documents:
            return self.documents[product_id].version, False
        return (self.removed[product_id], True) if product_id in self.removed else None


@dataclass(slots=True)
class SearchTables:
    """The search index, and the one that a rebuild is filling."""

    live: SearchIndex = field(default_factory=SearchIndex)
    building: SearchIndex | None = None
    built: bool = False


@dataclass(slots=True)
class UserTables:
    """Schema `users`."""

    users: dict[str, UserRecord] = field(default_factory=dict)
    ids_by_email: dict[str, str] = field(default_factory=dict)
    refresh: dict[str, RefreshTokenRecord] = field(default_factory=dict)
    dropped_families: set[str] = field(default_factory=set)
    admin_records: list[AdminRecord] = field(default_factory=list)
    notifications: dict[str, NotificationRow] = field(default_factory=dict)
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
    search: SearchTables = field(default_factory=SearchTables)
    users: UserTables = field(default_factory=UserTables)
    ledger: dict[str, LedgerRow] = field(default_factory=dict)
