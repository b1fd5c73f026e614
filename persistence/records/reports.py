"""What administrators look at."""

from persistence.records.journal import OrderRow
from persistence.records.row import Row


class OrderFilter(Row, frozen=True, kw_only=True):
    """Which orders. None: any. `from_ms` inclusive, `to_ms` exclusive, both of the order's making.

    `email_key` is the case-folded address that the order is told to.
    """

    user_id: str | None = None
    status: str | None = None
    email_key: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    min_total_minor: int | None = None
    max_total_minor: int | None = None


class StatusTotals(Row, frozen=True, kw_only=True):
    """The orders that have a status now, and what they are worth."""

    status: str
    orders: int
    total_minor: int


class PaymentTotals(Row, frozen=True, kw_only=True):
    """What payments brought, and what of it was given back since."""

    payments: int
    captured_minor: int
    refunded_minor: int


class StockTotals(Row, frozen=True, kw_only=True):
    """Counts of SKUs. `low`: at most a threshold of units can be bought; `out`: none can (they are low too)."""

    skus: int
    low: int
    out: int


class CatalogSku(Row, frozen=True, kw_only=True):
    """A SKU that the catalog sells, and whose it is."""

    sku: str
    product_id: str
    name: str


class UserTotals(Row, frozen=True, kw_only=True):
    """How many accounts of customers there are, and how many of them were made since a moment."""

    customers: int
    new: int


Page = tuple[list[OrderRow], str | None, int | None]
"""Rows, the next cursor, and the total when it is known."""


FoundOrders = tuple[list[OrderRow], str | None]
"""Rows, and the cursor behind what was looked at."""
