"""Bodies and query parameters of the administrators' pages."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, get_args

from fastapi import Query
from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from actors.domain.order import Order, Status
from serve.admin_stats import Day, Figures, TopProduct, day_name
from serve.clock import iso
from serve.schemas.base import CamelOut
from serve.schemas.money import MoneyOut, MoneyQuery
from serve.schemas.orders import OrderOut
from serve.schemas.page import PageMeta

DAYS_DEFAULT: Final = 7
_MOMENT: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,3})?Z)?"
_STATUSES: Final = get_args(Status)
_EXAMPLE_TIME: Final = "2026-01-31T12:00:00.250Z"


def _moment_ms(value: object) -> int:
    """Milliseconds of `2026-01-31` (its midnight) or `2026-01-31T12:00:00Z`, UTC. Raises `ValueError`."""
    if not isinstance(value, str) or re.fullmatch(_MOMENT, value, re.ASCII) is None:
        raise ValueError("must be a date or a time in UTC, such as 2026-01-31 or 2026-01-31T12:00:00Z")
    try:
        at = datetime.fromisoformat(value.removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError:
        raise ValueError("there is no such date or time") from None
    return max(0, round(at.timestamp() * 1_000))


Moment = Annotated[
    int,
    BeforeValidator(_moment_ms),
    WithJsonSchema({"type": "string", "pattern": f"^{_MOMENT}$", "examples": ["2026-01-31", _EXAMPLE_TIME]}),
]
"""Query parameter: a date or time in UTC, milliseconds in the handler."""

From = Annotated[Moment | None, Query(alias="from", description="made at this time or later")]
To = Annotated[Moment | None, Query(alias="to", description="made before this time")]
MinTotal = Annotated[MoneyQuery | None, Query(alias="minTotal")]
MaxTotal = Annotated[MoneyQuery | None, Query(alias="maxTotal")]
EmailQuery = Annotated[
    Annotated[str, StringConstraints(min_length=3, max_length=254, pattern=r"^[^\s@]+@[^\s@]+$")] | None,
    Query(
        description="an account's address; if no account has it, the address of guests' orders", examples=["a@b.com"]
    ),
]
SkuText = Annotated[
    Annotated[str, StringConstraints(min_length=1, max_length=100)] | None,
    Query(alias="q", description="the start of a SKU, or a part of a product's name", examples=["LAPTOP"]),
]


class AdminOrderOut(OrderOut):
    """An order with the address that it is told to."""

    email: str = Field(examples=["test@example.com"])

    @classmethod
    def of(cls, order: Order) -> "AdminOrderOut":
        """As administrators see it."""
        shown = OrderOut.of(order)
        return cls.model_construct(**shown.__dict__, email=order.email)


class DayOut(CamelOut):
    """One day, UTC. All but `date` are null while it has not been read."""

    date: str = Field(examples=["2026-01-31"])
    orders: int | None = Field(description="made on that day, whatever became of them")
    revenue: MoneyOut | None = Field(description="captured by that day's payments, less what was given back since")
    average_order_value: MoneyOut | None = Field(description="of that day's orders that were paid; null if none was")

    @classmethod
    def of(cls, start_ms: int, day: Day | None) -> "DayOut":
        """As read, or not."""
        return cls(
            date=day_name(start_ms),
            orders=None if day is None else day.orders,
            revenue=None if day is None else day.revenue_minor,
            average_order_value=None if day is None else day.average_order_minor,
        )


class TodayOut(DayOut):
    """Today so far."""

    by_status: dict[Status, int] = Field(description="today's orders by the status they have now")
    captured: MoneyOut
    refunded: MoneyOut

    @classmethod
    def of_today(cls, day: Day) -> "TodayOut":
        """As read."""
        counts = {status: day.by_status[status].orders if status in day.by_status else 0 for status in _STATUSES}
        return cls(
            **DayOut.of(day.start_ms, day).__dict__,
            by_status=counts,
            captured=day.payments.captured_minor,
            refunded=day.payments.refunded_minor,
        )


class TopProductOut(CamelOut):
    """What sold most. A SKU that is no longer on sale stands for itself: `productId` is null, `name` the SKU."""

    product_id: str | None = Field(examples=["prod-laptop-001"])
    name: str = Field(examples=["Premium Ultrabook Pro 15"])
    sold: int = Field(description="units, ever")

    @classmethod
    def of(cls, product: TopProduct) -> "TopProductOut":
        """As read."""
        return cls(product_id=product.product_id, name=product.name, sold=product.sold)


class StockFiguresOut(CamelOut):
    """Counts of SKUs with a stock record. Low: at most `lowStockMax` units can be bought; out: none (low too)."""

    skus: int
    low: int
    out: int
    low_stock_max: int


class CustomerFiguresOut(CamelOut):
    """Accounts of customers; `new_today` since midnight UTC."""

    total: int
    new_today: int


class StatsOut(CamelOut):
    """What a dashboard shows. Days are UTC, by the database's clock; today is at most some seconds old."""

    as_of: str = Field(examples=[_EXAMPLE_TIME])
    currency: str = Field(examples=["USD"])
    today: TodayOut
    orders_per_minute: int = Field(description="made in the last 60 s")
    days: list[DayOut] = Field(description="oldest first, today last")
    top_products: list[TopProductOut]
    stock: StockFiguresOut
    customers: CustomerFiguresOut

    @classmethod
    def of(cls, figures: Figures, *, currency: str, low_stock_max: int) -> "StatsOut":
        """As read."""
        stock, users = figures.stock, figures.users
        return cls(
            as_of=iso(figures.as_of_ms),
            currency=currency,
            today=TodayOut.of_today(figures.today),
            orders_per_minute=figures.orders_per_minute,
            days=[DayOut.of(start_ms, day) for start_ms, day in figures.days.items()],
            top_products=[TopProductOut.of(product) for product in figures.top_products],
            stock=StockFiguresOut(skus=stock.skus, low=stock.low, out=stock.out, low_stock_max=low_stock_max),
            customers=CustomerFiguresOut(total=users.customers, new_today=users.new),
        )


class AdminStockOut(CamelOut):
    """A SKU's stock with what it is. `name`: "" if it is no longer on sale; `version`: 0 if it has no stock record yet."""

    sku: str = Field(examples=["LAPTOP-001"])
    product_id: str | None = Field(examples=["prod-laptop-001"])
    name: str = Field(examples=["Premium Ultrabook Pro 15"])
    on_hand: int
    reserved: int
    available: int
    sold: int
    version: int


class AdminInventoryOut(CamelOut):
    """One page of SKUs, by SKU."""

    data: list[AdminStockOut]
    meta: PageMeta


class NodeOut(CamelOut):
    """A machine of the cluster."""

    node: str
    hosts: int = Field(description="its shard hosts")
    alive: int = Field(description="those whose lease runs")
    shards: int


class HostOut(CamelOut):
    """A shard host. `alive`: its lease runs. `report` is what it says of itself; null if it did not answer in time."""

    host: str
    incarnation: str
    node: str
    weight: float = Field(description="0: it hands its shards on")
    renewed_at: str = Field(examples=[_EXAMPLE_TIME])
    expires_at: str = Field(examples=[_EXAMPLE_TIME])
    alive: bool
    shards: int
    answered: bool
    report: dict[str, Any] | None


class ProcessOut(CamelOut):
    """Another process of the cluster, such as the one that sends notifications."""

    process: str
    answered: bool
    report: dict[str, Any] | None


class ShardOut(CamelOut):
    """Whose a shard is. `served`: its owner's lease runs."""

    shard: int
    owner: str | None
    epoch: int
    served: bool


class ClusterOut(CamelOut):
    """The cluster as its table has it, and what its processes say of themselves."""

    as_of: str = Field(examples=[_EXAMPLE_TIME])
    ready: bool = Field(description="every shard is served")
    nodes: list[NodeOut]
    hosts: list[HostOut]
    processes: list[ProcessOut]
    shards: list[ShardOut]
