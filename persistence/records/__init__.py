"""The rows that cross the ports. Times are milliseconds since the epoch (UTC), money integer minor units."""

from persistence.records.carts import (
    CartRecord,
    CartWrite,
)
from persistence.records.catalog import (
    CategoryRecord,
    PriceRecord,
    ProductQuery,
    ProductRecord,
    ProductWrite,
    VariantRecord,
)
from persistence.records.cluster import (
    HostRow,
    ShardRow,
)
from persistence.records.events import (
    EventMessage,
    ReceivedMessage,
    TopicSpec,
)
from persistence.records.gateway import (
    LedgerRow,
)
from persistence.records.journal import (
    ANSWER_SERVICES,
    JOURNAL_SERVICES,
    AnswerService,
    Head,
    IdempotencyRow,
    JournalEvent,
    JournalService,
    NewEvent,
    OrderRow,
    PaymentRow,
    ReturnRow,
    ShardBatch,
    SnapshotRow,
    StockRow,
    TimerRow,
    ViewRow,
)
from persistence.records.limits import RateHit
from persistence.records.outbox import (
    OWN_TOPICS,
    OutboxRow,
    OutboxService,
)
from persistence.records.people import (
    AdminRecord,
    Channel,
    NotificationRow,
    RefreshTokenRecord,
    UserRecord,
)
from persistence.records.reports import (
    CatalogSku,
    FoundOrders,
    OrderFilter,
    Page,
    PaymentTotals,
    StatusTotals,
    StockTotals,
    UserTotals,
)
from persistence.records.row import (
    Row,
)
from persistence.records.search import (
    FacetCount,
    SearchPage,
    SearchQuery,
)

__all__ = [
    "ANSWER_SERVICES",
    "JOURNAL_SERVICES",
    "OWN_TOPICS",
    "AdminRecord",
    "AnswerService",
    "CartRecord",
    "CartWrite",
    "CatalogSku",
    "CategoryRecord",
    "Channel",
    "EventMessage",
    "FacetCount",
    "FoundOrders",
    "Head",
    "HostRow",
    "IdempotencyRow",
    "JournalEvent",
    "JournalService",
    "LedgerRow",
    "NewEvent",
    "NotificationRow",
    "OrderFilter",
    "OrderRow",
    "OutboxRow",
    "OutboxService",
    "Page",
    "PaymentRow",
    "PaymentTotals",
    "PriceRecord",
    "ProductQuery",
    "ProductRecord",
    "ProductWrite",
    "RateHit",
    "ReceivedMessage",
    "RefreshTokenRecord",
    "ReturnRow",
    "Row",
    "SearchPage",
    "SearchQuery",
    "ShardBatch",
    "ShardRow",
    "SnapshotRow",
    "StatusTotals",
    "StockRow",
    "StockTotals",
    "TimerRow",
    "TopicSpec",
    "UserRecord",
    "UserTotals",
    "VariantRecord",
    "ViewRow",
]
