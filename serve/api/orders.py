"""Orders."""

from typing import Annotated

from fastapi import Depends, Header, Query
from starlette.requests import Request
from starlette.responses import Response

from actors.domain.order import CancelOrder, DeliverOrder, OrderAnswer, ShipOrder, Status
from serve.answers import answer
from serve.auth.access import allow
from serve.auth.principal import Principal, Role, is_account_id, require_cart, require_owner
from serve.deps import Caller, EntityReply, ServicesOf
from serve.errors import not_found
from serve.idempotency import ClientKey, fingerprint
from serve.openapi import problems
from serve.route import API_PREFIX, service_router
from serve.schemas.cart import CartId, is_cart_id
from serve.schemas.orders import CancelIn, HistoryOut, OrderIn, OrderOut, ShipIn
from serve.schemas.page import Cursor, Limit, PageMeta, PageOut, bad_cursor
from serve.shop import orders
from serve.shop.commands import identify
from serve.shop.history import history_of

router = service_router("orders")


async def _cart_id(
    given: Annotated[str | None, Header(alias="X-Cart-Id", description="the cart of a guest's order")] = None,
) -> str | None:
    return given if given is not None and is_cart_id(given) else None


GuestCart = Annotated[str | None, Depends(_cart_id)]
"""Parameter type: the X-Cart-Id header, which proves that a guest's order is the caller's. One that is no cart's id
proves nothing."""


@router.post(
    "/orders",
    status_code=201,
    response_model=OrderOut,
    responses={
        202: {"model": OrderOut, "description": "It stands and settles by itself; see Location."},
        **problems(
            "payment-declined",
            "insufficient-stock",
            "price-changed",
            "empty-cart",
            "cart-checked-out",
            "unknown-sku",
            "mixed-currencies",
            "amount-too-large",
            "idempotency-key-reused",
            "try-again",
            "not-found",
        ),
    },
)
@allow(Role.GUEST, Role.CUSTOMER, Role.ADMIN)
async def place_order(
    request: Request, body: OrderIn, caller: Caller, key: ClientKey, services: ServicesOf
) -> Response:
    """Order the named items, or the whole cart. Without a payment method it waits 15 minutes to be paid."""
    require_cart(caller, body.user_id)
    reply, placed = await orders.place(services, caller, body, key=key, fingerprint=fingerprint(request))
    return _answer(reply, placed, created=True)


@router.get("/orders", response_model=PageOut[OrderOut], responses=problems("not-found"))
@allow(Role.CUSTOMER, Role.ADMIN)
async def list_orders(
    caller: Caller,
    services: ServicesOf,
    user_id: Annotated[CartId | None, Query(alias="userId", description="the caller's own if absent")] = None,
    status: Annotated[Status | None, Query()] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    """An account's orders, newest first. A guest's are never listed."""
    owner = caller.id if user_id is None else user_id
    if not is_account_id(owner):
        raise not_found()
    require_owner(caller, owner)
    try:
        found, next_cursor, total = await orders.list_orders(services, owner, status, limit, cursor)
    except ValueError:
        raise bad_cursor() from None
    data = [OrderOut.of(order) for order in found]
    # Built without checking, as its items are.
    page = PageOut[OrderOut].model_construct(data=data, meta=PageMeta(next_cursor=next_cursor, total=total))
    return answer(page)


@router.get("/orders/{order_id}", response_model=OrderOut)
@allow(Role.GUEST, Role.CUSTOMER, Role.ADMIN)
async def get_order(order_id: str, caller: Caller, cart_id: GuestCart, services: ServicesOf) -> Response:
    """One order. A guest's is shown to whoever names its cart in X-Cart-Id."""
    order = orders.decode_order(await orders.visible_order(services, caller, cart_id, order_id))
    return answer(OrderOut.of(order), version=order.version)


@router.get("/orders/{order_id}/history", response_model=HistoryOut)
@allow(Role.CUSTOMER, Role.ADMIN)
async def get_history(order_id: str, caller: Caller, cart_id: GuestCart, services: ServicesOf) -> Response:
    """What happened to the order, when, and who was behind it."""
    row = await orders.visible_order(services, caller, cart_id, order_id)
    return answer(await history_of(services, row), version=row.version)


@router.post(
    "/orders/{order_id}/cancel",
    response_model=OrderOut,
    responses={
        202: {"model": OrderOut, "description": "It will be cancelled once its payment is known; see Location."},
        **problems("illegal-transition", "idempotency-key-reused"),
    },
)
@allow(Role.CUSTOMER, Role.ADMIN)
async def cancel_order(
    request: Request,
    order_id: str,
    caller: Caller,
    cart_id: GuestCart,
    key: ClientKey,
    services: ServicesOf,
    body: CancelIn | None = None,
) -> Response:
    """Cancel it: its payment is refunded and its stock is back before the answer."""
    await orders.visible_order(services, caller, cart_id, order_id)
    what = CancelOrder(reason="" if body is None else body.reason)
    identity = identify(services, request, key, caller.id)
    return _answer(*await orders.command_order(services, order_id, what, identity, settles=True))


@router.post(
    "/orders/{order_id}/ship",
    response_model=OrderOut,
    responses=problems("illegal-transition", "idempotency-key-reused"),
)
@allow(Role.ADMIN)
async def ship_order(
    request: Request,
    order_id: str,
    caller: Caller,
    key: ClientKey,
    services: ServicesOf,
    body: ShipIn | None = None,
) -> Response:
    """It left the house."""
    what = ShipOrder()
    if body is not None:
        what = ShipOrder(carrier=body.carrier or "", tracking_number=body.tracking_number or "")
    return await _moved(request, services, caller, order_id, key, what)


@router.post(
    "/orders/{order_id}/deliver",
    response_model=OrderOut,
    responses=problems("illegal-transition", "idempotency-key-reused"),
)
@allow(Role.ADMIN)
async def deliver_order(
    request: Request, order_id: str, caller: Caller, key: ClientKey, services: ServicesOf
) -> Response:
    """It arrived."""
    return await _moved(request, services, caller, order_id, key, DeliverOrder())


async def _moved(
    request: Request,
    services: ServicesOf,
    caller: Principal,
    order_id: str,
    key: str | None,
    what: ShipOrder | DeliverOrder,
) -> Response:
    await orders.visible_order(services, caller, None, order_id)
    identity = identify(services, request, key, caller.id)
    return _answer(*await orders.command_order(services, order_id, what, identity))


def _answer(reply: EntityReply, answered: OrderAnswer, *, created: bool = False) -> Response:
    order = answered.order
    location = f"{API_PREFIX}/orders/{order.id}"
    return answer(
        OrderOut.of(order),
        status=202 if answered.accepted else 201 if created else 200,
        version=order.version,
        replayed=reply.replayed,
        location=location if created or answered.accepted else None,
    )
