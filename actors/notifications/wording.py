"""What each message says in its own words; what all order messages show alike is in the templates. Pure."""

from dataclasses import dataclass
from typing import assert_never

from actors.domain import order
from actors.domain.order import Order
from actors.notifications.text import money, one_line

Fact = tuple[str, str]
"""Label and value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """The words of one message. `sms` is the whole text for a phone, without the shop's name."""

    subject: str
    headline: str
    paragraphs: tuple[str, ...]
    facts: tuple[Fact, ...] = ()
    sms: str = ""


ToldEvent = (
    order.OrderConfirmed
    | order.OrderShipped
    | order.OrderDelivered
    | order.OrderCancelled
    | order.OrderExpired
    | order.RefundCompleted
)


def welcome(shop: str) -> Wording:
    """For a new account."""
    return Wording(
        subject=f"Welcome to {one_line(shop)}",
        headline=f"Welcome to {one_line(shop)}",
        paragraphs=(
            (
                "Your account is ready. From now on your cart waits for you on every device, and you find your orders "
                "in one place."
            ),
            (
                "If you did not make this account, you need not do anything: nobody can order in your name without the "
                "password."
            ),
        ),
    )


def of_order(event: ToldEvent, state: Order) -> Wording:
    """For what happened to an order."""
    match event:
        case order.OrderConfirmed():
            return _confirmed(event, state)
        case order.OrderShipped():
            return _shipped(event, state)
        case order.OrderDelivered():
            return _delivered(state)
        case order.OrderCancelled():
            return _cancelled(event, state)
        case order.OrderExpired():
            return _expired(state)
        case order.RefundCompleted():
            return _refunded(event, state)
        case _:
            assert_never(event)


def _confirmed(event: order.OrderConfirmed, state: Order) -> Wording:
    total = _money(state, state.amounts.total)
    return Wording(
        subject=f"Your order {state.id} is confirmed",
        headline="Thank you for your order",
        paragraphs=(
            (
                f"We have received your payment of {total} and are getting your order ready. "
                "We write again when it is on its way."
            ),
        ),
        facts=(("Paid with", f"card ending in {event.last4}"),) if event.last4 else (),
        sms=f"order {state.id} is confirmed and paid, {total}.",
    )


def _shipped(event: order.OrderShipped, state: Order) -> Wording:
    carrier, number = one_line(event.carrier), one_line(event.tracking_number)
    travels = " ".join(part for part in (carrier, number) if part)
    return Wording(
        subject=f"Your order {state.id} is on its way",
        headline="Your order is on its way",
        paragraphs=("It has left our warehouse. Below is where it goes and how you can follow it.",)
        if number
        else ("It has left our warehouse. Below is where it goes.",),
        facts=_tracking(state),
        sms=f"order {state.id} is on its way{': ' if travels else ''}{travels}.",
    )


def _delivered(state: Order) -> Wording:
    return Wording(
        subject=f"Your order {state.id} was delivered",
        headline="Your order has arrived",
        paragraphs=(
            "We hope that you enjoy it. If something is missing or not right, please tell us and name your order number.",
        ),
        facts=_tracking(state),
        sms=f"order {state.id} was delivered.",
    )


def _cancelled(event: order.OrderCancelled, state: Order) -> Wording:
    refunded = _money(state, event.refunded)
    money_back = (
        f"We have refunded {refunded}. Your bank may take some days to show it."
        if event.refunded
        else "You have not been charged."
    )
    facts = [("Reason", one_line(event.reason))] if event.reason else []
    return Wording(
        subject=f"Your order {state.id} was cancelled",
        headline="Your order was cancelled",
        paragraphs=(money_back,),
        facts=(*facts, *([("Refunded", refunded)] if event.refunded else [])),
        sms=f"order {state.id} was cancelled. {f'Refunded: {refunded}.' if event.refunded else 'Nothing was charged.'}",
    )


def _expired(state: Order) -> Wording:
    return Wording(
        subject=f"Your order {state.id} has expired",
        headline="Your order has expired",
        paragraphs=(
            (
                "We did not receive a payment in time, so we closed the order and no longer hold its items for you. "
                "You have not been charged."
            ),
            "You are welcome to order again.",
        ),
        sms=f"order {state.id} was not paid in time and has expired. Nothing was charged.",
    )


def _refunded(event: order.RefundCompleted, state: Order) -> Wording:
    given = sum(refund.amount for refund in state.refunds if refund.n == event.n)
    # Refunds are carried out one by one, in this order: those of later numbers came after this event.
    so_far = sum(refund.amount for refund in state.refunds if refund.n <= event.n)
    amount, total = _money(state, given), _money(state, state.amounts.total)
    whole = so_far == state.amounts.total
    rest = (
        "With it you have everything back that you paid for this order."
        if whole
        else f"Of the {total} that you paid for this order, {_money(state, so_far)} is refunded now."
    )
    return Wording(
        subject=f"Your refund for order {state.id}",
        headline="Your money is on its way back",
        paragraphs=(f"We have refunded {amount}. Your bank may take some days to show it.", rest),
        facts=(("Refunded", amount), *(() if given == so_far else (("Refunded in all", _money(state, so_far)),))),
        sms=f"we have refunded {amount} for order {state.id}.",
    )


def _tracking(state: Order) -> tuple[Fact, ...]:
    if state.shipment is None:
        return ()
    found = (("Carrier", state.shipment.carrier), ("Tracking number", state.shipment.tracking_number))
    return tuple((label, one_line(value)) for label, value in found if value)


def _money(state: Order, minor: int) -> str:
    return money(minor, state.amounts.currency)
