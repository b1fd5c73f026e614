"""Payments as clients see them: the record of what the gateway did, or the attempt whose result is awaited."""

from dataclasses import dataclass

import msgspec

from actors.domain.ids import order_of_payment
from actors.domain.order import Order, RefundRequest
from actors.domain.payment import GetPayment, Payment, PaymentAnswer
from actors.registry import ENTITY_TYPES
from serve.deps import Services
from serve.errors import not_found
from serve.schemas.payments import PaymentOut, is_payment_id
from serve.shop.commands import CommandIdentity, ask
from serve.shop.orders import decode_order


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPayment:
    """A payment with whose it is."""

    user_id: str
    payment: PaymentOut


async def find_payment(services: Services, payment_id: str) -> ShownPayment:
    """The payment of this id. Raises `Problem` 404 if there is none, and no attempt at one either."""
    if not is_payment_id(payment_id):
        raise not_found()
    row = await services.stores.payments.by_id(payment_id)
    if row is not None:
        return ShownPayment(user_id=row.user_id, payment=PaymentOut.of(_decoded(row.state)))
    order_id = order_of_payment(payment_id)
    order_row = (await services.stores.orders.load([order_id])).get(order_id)
    order = None if order_row is None else decode_order(order_row)
    if order is None or order.payment is None:
        raise not_found()
    recorded = None if order.paying else await _ask_payment(services, order_id)
    payment = PaymentOut.of_order(order) if recorded is None else PaymentOut.of(recorded)
    return ShownPayment(user_id=order.user_id, payment=payment)


async def captured(services: Services, order: Order) -> PaymentOut:
    """The payment as it was when it had been captured.

    What followed (a refund) is left out, so that a repeat of the request is answered with the same bytes.
    """
    payment = await _settled(services, order.id)
    if payment is None or not payment.captured:
        return PaymentOut.of_order(order)
    return PaymentOut.of(msgspec.structs.replace(payment, status="captured", refunded=0))


async def refunded(services: Services, order: Order, command_id: str) -> PaymentOut:
    """The payment as it was after the refund that this command asked for, and none of those after it."""
    payment = await _settled(services, order.id)
    request = _asked_by(order, command_id)
    if payment is None or request is None or not payment.captured:
        return PaymentOut.of_order(order)
    given = sum(refund.amount for refund in order.refunds if refund.n <= request.n)
    if not request.done:
        return PaymentOut.of(payment)
    status = "refunded" if given == payment.captured else "partially_refunded"
    return PaymentOut.of(msgspec.structs.replace(payment, status=status, refunded=given))


def _asked_by(order: Order, command_id: str) -> RefundRequest | None:
    return next((refund for refund in order.refunds if refund.mark.command_id == command_id), None)


async def _settled(services: Services, order_id: str) -> Payment | None:
    """The payment of an order that says it is settled.

    The order's journal may be a moment ahead of the payment's own: then the entity is asked, whose answer waits for
    what is on its way.
    """
    row = (await services.stores.payments.load([order_id])).get(order_id)
    payment = None if row is None else _decoded(row.state)
    if payment is not None and payment.captured:
        return payment
    return await _ask_payment(services, order_id) or payment


async def _ask_payment(services: Services, order_id: str) -> Payment | None:
    identity = CommandIdentity(actor="system", command_id=services.ids.fresh())
    reply = (await ask(services, "payment", order_id, GetPayment(), identity)).reply
    return reply.payment if isinstance(reply, PaymentAnswer) else None


def _decoded(state: bytes) -> Payment:
    payment = ENTITY_TYPES["payment"].decode_state(state)
    assert isinstance(payment, Payment)
    return payment
