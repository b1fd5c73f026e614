"""What the platform needs of its stores. Every adapter of a port passes that port's contract suite.

Every method may raise `StoreUnavailable` (definite: nothing happened). Writing methods may raise
`OutcomeUnknown` (it may have happened, or may yet) and `WriteRefused` (definite: refused data).
Times are milliseconds since the epoch of the *database's* clock; money is integer minor units.
"""

from persistence.ports.cluster import (
    Ownership,
)
from persistence.ports.events import (
    EventBroker,
    EventPublisher,
    EventSubscription,
)
from persistence.ports.journal import (
    Cursors,
    Journal,
    Orders,
    Payments,
    Stock,
)
from persistence.ports.limits import (
    Rates,
)
from persistence.ports.people import (
    AdminRecords,
    Mailer,
    Notifications,
    Users,
)
from persistence.ports.shop import (
    Carts,
    Catalog,
    ProductSearch,
)
from persistence.ports.upkeep import (
    AuditReads,
    Ledger,
    Outbox,
    PriceReads,
    Retention,
)

__all__ = [
    "AdminRecords",
    "AuditReads",
    "Carts",
    "Catalog",
    "Cursors",
    "EventBroker",
    "EventPublisher",
    "EventSubscription",
    "Journal",
    "Ledger",
    "Mailer",
    "Notifications",
    "Orders",
    "Outbox",
    "Ownership",
    "Payments",
    "PriceReads",
    "ProductSearch",
    "Rates",
    "Retention",
    "Stock",
    "Users",
]
