"""What administrators see of the whole shop: figures, orders, stock, the cluster."""

from typing import Annotated, Final

from fastapi import Depends, Query
from starlette.responses import Response

from actors.domain.order import Status
from persistence.records import OrderFilter
from serve.admin_cluster import cluster_view
from serve.admin_reads import StockLine, find_orders, stock_lines
from serve.admin_stats import DAYS_MAX
from serve.answers import answer
from serve.auth.access import allow
from serve.auth.principal import Role
from serve.deps import ServicesOf
from serve.route import service_router
from serve.schemas.admin import (
    DAYS_DEFAULT,
    AdminInventoryOut,
    AdminOrderOut,
    AdminStockOut,
    ClusterOut,
    EmailQuery,
    From,
    MaxTotal,
    MinTotal,
    SkuText,
    StatsOut,
    To,
)
from serve.schemas.cart import CartId
from serve.schemas.page import Cursor, Limit, PageMeta, PageOut, bad_cursor
from serve.shop.orders import decode_order

router = service_router("admin")

_HISTORY_WAIT_MS: Final = 1_000


@router.get("/admin/stats", response_model=StatsOut)
@allow(Role.ADMIN)
async def get_stats(
    services: ServicesOf,
    days: Annotated[int, Query(ge=1, le=DAYS_MAX, description="how many days, today included")] = DAYS_DEFAULT,
) -> Response:
    """The shop's figures: today, the last days, what sells, what runs low. A day that is still being read has nulls."""
    figures = await services.stats.read(days, wait_ms=_HISTORY_WAIT_MS)
    shown = StatsOut.of(
        figures, currency=services.settings.catalog_currency, low_stock_max=services.stats.low_stock_max
    )
    return answer(shown)


async def _wanted(
    *,
    status: Annotated[Status | None, Query()] = None,
    user_id: Annotated[CartId | None, Query(alias="userId", description="an account's id, or a guest cart's")] = None,
    made_from: From = None,
    made_to: To = None,
    min_total: MinTotal = None,
    max_total: MaxTotal = None,
) -> OrderFilter:
    return OrderFilter(
        user_id=user_id,
        status=status,
        from_ms=made_from,
        to_ms=made_to,
        min_total_minor=min_total,
        max_total_minor=max_total,
    )


@router.get("/admin/orders", response_model=PageOut[AdminOrderOut])
@allow(Role.ADMIN)
async def list_all_orders(
    services: ServicesOf,
    wanted: Annotated[OrderFilter, Depends(_wanted)],
    email: EmailQuery = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    """Everybody's orders, newest first. With filters a page may be short, or empty, and still have a `nextCursor`."""
    try:
        rows, next_cursor = await find_orders(services.stores, wanted, email, limit, cursor)
    except ValueError:
        raise bad_cursor() from None
    # Built without checking, as its items are.
    data = [AdminOrderOut.of(decode_order(row)) for row in rows]
    return answer(PageOut[AdminOrderOut].model_construct(data=data, meta=PageMeta(next_cursor=next_cursor)))


@router.get("/admin/inventory", response_model=AdminInventoryOut)
@allow(Role.ADMIN)
async def list_inventory(
    services: ServicesOf,
    text: SkuText = None,
    low_stock: Annotated[bool, Query(alias="lowStock", description="only what runs low")] = False,  # noqa: FBT002
    threshold: Annotated[
        int | None, Query(ge=0, le=1_000_000, description="low is: at most so many can be bought; default: a setting")
    ] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    """Every SKU that is on sale or has stock, by SKU. With `lowStock` a page may be short and have a `nextCursor`."""
    low_max = services.stats.low_stock_max if threshold is None else threshold
    try:
        lines, next_cursor = await stock_lines(
            services.stores,
            text=text or "",
            available_max=low_max if low_stock else None,
            limit=limit,
            cursor=cursor,
        )
    except ValueError:
        raise bad_cursor() from None
    shown = AdminInventoryOut(data=[_stock(line) for line in lines], meta=PageMeta(next_cursor=next_cursor))
    return answer(shown)


@router.get("/admin/cluster", response_model=ClusterOut)
@allow(Role.ADMIN)
async def get_cluster(services: ServicesOf) -> Response:
    """Nodes, hosts with their leases and shards, and who owns each shard. Hosts have a second to answer."""
    return answer(await cluster_view(services.stores.ownership, services.hosts, services.clock.now_ms()))


def _stock(line: StockLine) -> AdminStockOut:
    row, product = line.row, line.product
    return AdminStockOut(
        sku=line.sku,
        product_id=None if product is None else product.product_id,
        name="" if product is None else product.name,
        on_hand=0 if row is None else row.on_hand,
        reserved=0 if row is None else row.reserved,
        available=line.available,
        sold=0 if row is None else row.sold,
        version=0 if row is None else row.version,
    )
