"""Inventory."""

from starlette.requests import Request
from starlette.responses import Response

from actors.domain.inventory import AdjustStock, HoldExternally, Reserved, StockLevel
from serve.answers import answer
from serve.auth.access import allow, public
from serve.auth.principal import Role
from serve.deps import Caller, EntityReply, ServicesOf
from serve.idempotency import ClientKey
from serve.openapi import problems
from serve.route import service_router
from serve.schemas.inventory import AdjustIn, ReleaseIn, ReservationOut, ReserveIn, StockOut
from serve.shop import inventory
from serve.shop.commands import accepted, command, identify

router = service_router("inventory")


@router.get("/inventory/{sku}", response_model=StockOut)
@public()
async def get_stock(sku: str, services: ServicesOf) -> Response:
    """The stock of one SKU."""
    row = await inventory.stock_of(services, sku)
    return answer(StockOut.of_row(row), version=row.version)


@router.post(
    "/inventory/{sku}/reserve",
    status_code=201,
    response_model=ReservationOut,
    responses=problems("insufficient-stock", "idempotency-key-reused"),
)
@allow(Role.SERVICE, Role.ADMIN)
async def reserve(
    request: Request, sku: str, body: ReserveIn, caller: Caller, key: ClientKey, services: ServicesOf
) -> Response:
    """Set units aside. The reservation expires by itself."""
    await inventory.stock_of(services, sku)
    what = HoldExternally(order_id=body.order_id, quantity=body.quantity, ttl_ms=body.ttl_seconds * 1_000)
    reply = await command(services, "sku", sku, what, identify(services, request, key, caller.id))
    reserved = accepted(reply, Reserved)
    shown = ReservationOut.of(reserved, services.ids.reservation(sku, reserved.reservation_id))
    return answer(shown, status=201, replayed=reply.replayed)


@router.post(
    "/inventory/{sku}/release",
    response_model=StockOut,
    responses=problems("reservation-not-found", "already-committed", "held-by-order", "idempotency-key-reused"),
)
@allow(Role.SERVICE, Role.ADMIN)
async def release(
    request: Request, sku: str, body: ReleaseIn, caller: Caller, key: ClientKey, services: ServicesOf
) -> Response:
    """Give a reservation back. One that is over already stays so."""
    await inventory.stock_of(services, sku)
    identity = identify(services, request, key, caller.id)
    return _level(await inventory.release(services, sku, body.reservation_id, identity))


@router.post(
    "/inventory/{sku}/adjust",
    response_model=StockOut,
    responses=problems("below-reserved", "too-many-units", "idempotency-key-reused"),
)
@allow(Role.ADMIN)
async def adjust(
    request: Request, sku: str, body: AdjustIn, caller: Caller, key: ClientKey, services: ServicesOf
) -> Response:
    """Add or take units. The record of a SKU of the catalog is made at its first adjustment."""
    await inventory.require_known(services, sku)
    what = AdjustStock(delta=body.delta, reason=body.reason)
    return _level(await command(services, "sku", sku, what, identify(services, request, key, caller.id)))


def _level(reply: EntityReply) -> Response:
    level = accepted(reply, StockLevel)
    return answer(StockOut.of_level(level), version=level.version, replayed=reply.replayed)
