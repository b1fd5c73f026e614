"""Payments."""

from starlette.requests import Request
from starlette.responses import Response

from actors.domain.ids import order_of_payment, payment_id
from actors.domain.order import PayOrder, RefundOrder
from actors.gateway.stripe_amounts import is_payable
from serve.answers import answer
from serve.api.orders import GuestCart
from serve.auth.access import allow
from serve.auth.principal import Role, require_owner
from serve.deps import Caller, ServicesOf
from serve.errors import invalid_field
from serve.idempotency import ClientKey
from serve.openapi import problems
from serve.route import API_PREFIX, service_router
from serve.schemas.payments import PaymentIn, PaymentOut, RefundIn
from serve.shop import orders, payments
from serve.shop.commands import identify

router = service_router("payments")


@router.post(
    "/payments",
    status_code=201,
    response_model=PaymentOut,
    responses={
        202: {"model": PaymentOut, "description": "The gateway has not answered; see Location."},
        **problems(
            "payment-declined",
            "already-paid",
            "payment-in-progress",
            "amount-mismatch",
            "illegal-transition",
            "idempotency-key-reused",
            "not-found",
        ),
    },
)
@allow(Role.GUEST, Role.CUSTOMER, Role.ADMIN, Role.SERVICE)
async def pay(
    request: Request, body: PaymentIn, caller: Caller, cart_id: GuestCart, key: ClientKey, services: ServicesOf
) -> Response:
    """Pay an order that was placed without a payment method. For a guest's, X-Cart-Id names its cart."""
    row = await orders.visible_order(services, caller, cart_id, body.order_id)
    what = PayOrder(amount=body.amount, currency=body.currency, method=body.method.method())
    identity = identify(services, request, key, caller.id or row.user_id)
    reply, answered = await orders.command_order(services, row.id, what, identity, settles=True)
    location = f"{API_PREFIX}/payments/{payment_id(row.id)}"
    if answered.accepted:
        return answer(PaymentOut.of_order(answered.order), status=202, location=location)
    paid = await payments.captured(services, answered.order)
    return answer(paid, status=201, replayed=reply.replayed, location=location)


@router.get("/payments/{payment_id}", response_model=PaymentOut)
@allow(Role.CUSTOMER, Role.ADMIN)
async def get_payment(payment_id: str, caller: Caller, services: ServicesOf) -> Response:
    """One payment. It is pending while the gateway's first word is awaited."""
    found = await payments.find_payment(services, payment_id)
    require_owner(caller, found.user_id)
    return answer(found.payment)


@router.post(
    "/payments/{payment_id}/refund",
    response_model=PaymentOut,
    responses={
        202: {"model": PaymentOut, "description": "The gateway has not answered; see Location."},
        **problems("over-captured", "illegal-transition", "idempotency-key-reused"),
    },
)
@allow(Role.ADMIN, Role.SERVICE)
async def refund(
    request: Request,
    payment_id: str,
    caller: Caller,
    key: ClientKey,
    services: ServicesOf,
    body: RefundIn | None = None,
) -> Response:
    """Give back part of what was captured, or all that is left of it."""
    found = await payments.find_payment(services, payment_id)
    if body is not None and body.amount is not None and not is_payable(body.amount, found.payment.currency):
        # The gateway could never give it back, and what is asked for after it would wait for it.
        raise invalid_field("/amount", f"{found.payment.currency} has whole units only.")
    what = RefundOrder(amount=None if body is None else body.amount)
    identity = identify(services, request, key, caller.id)
    order_id = order_of_payment(payment_id)
    reply, answered = await orders.command_order(services, order_id, what, identity, settles=True)
    shown = await payments.refunded(services, answered.order, identity.command_id)
    location = f"{API_PREFIX}/payments/{payment_id}" if answered.accepted else None
    return answer(shown, status=202 if answered.accepted else 200, replayed=reply.replayed, location=location)
