"""Commands and contexts with the parts that a claim is not about already filled in."""

from typing import Any

from actors.domain.cart import CartLine
from actors.domain.decision import CommandMark, Context, Decision, Parked, Rejected
from actors.domain.order import (
    Address,
    Amounts,
    CreateOrder,
    OrderLine,
    PaymentMethod,
    PlaceOrder,
    WantedLine,
)

NOW_MS = 1_000_000
COMMAND_LIFE_MS = 8_000
ADDRESS = Address(name="Ada", line1="1 Way", city="Town", postal_code="1000", country="DE")
METHOD = PaymentMethod(type="card", token="tok_ok")


def at(
    now_ms: int = NOW_MS,
    *,
    command_id: str = "c1",
    not_after_ms: int | None = None,
    fingerprint: str = "",
    latest_ms: int | None = None,
) -> Context:
    """The context of a command at this time, by exact clocks unless `latest_ms` says otherwise."""
    return Context(
        earliest_ms=now_ms,
        latest_ms=now_ms if latest_ms is None else latest_ms,
        command_id=command_id,
        not_after_ms=now_ms + COMMAND_LIFE_MS if not_after_ms is None else not_after_ms,
        fingerprint=fingerprint,
        actor="usr_test",
    )


def events_of(outcome: Decision | Parked) -> tuple[Any, ...]:
    """What is to be journaled."""
    return tuple(outcome.events)


def reply_of(outcome: Decision | Parked) -> Any:
    """The answer; a parked command has none."""
    assert isinstance(outcome, Decision), "the command was parked"
    return outcome.reply


def code_of(outcome: Decision | Parked) -> str:
    """The refusal's code; a refusal never changes anything."""
    reply = reply_of(outcome)
    assert isinstance(reply, Rejected), reply
    assert not outcome.events, "a refusal has no events"
    return reply.code


def cart_line(sku: str = "A", quantity: int = 1, price: int = 500, product_id: str = "") -> CartLine:
    """A line of a cart."""
    return CartLine(
        product_id=product_id or f"prod-{sku}",
        sku=sku,
        name=f"Thing {sku}",
        unit_price=price,
        price_version=1,
        currency="USD",
        quantity=quantity,
    )


def place(*wanted: tuple[str, int], cart_id: str = "", pay: bool = True, **changes: Any) -> PlaceOrder:
    """A request for an order, of these lines or of the cart."""
    fields: dict[str, Any] = {
        "user_id": "usr_1",
        "email": "ada@example.org",
        "cart_id": cart_id,
        "lines": tuple(WantedLine(sku=sku, quantity=quantity) for sku, quantity in wanted),
        "shipping_address": ADDRESS,
        "payment_method": METHOD if pay else None,
    }
    return PlaceOrder(**{**fields, **changes})


def create(*, pay: bool = True, attempt_ms: int = NOW_MS + COMMAND_LIFE_MS, cart_id: str = "") -> CreateOrder:
    """The saga's command that makes the order `ord_1` of two units at 500."""
    line = OrderLine(sku="A", product_id="prod-A", name="Thing A", quantity=2, unit_price=500, price_version=1)
    return CreateOrder(
        order_id="ord_1",
        request=place(("A", 2), pay=pay, cart_id=cart_id),
        attempt_ms=attempt_ms,
        mark=CommandMark.of(at(command_id="place", not_after_ms=attempt_ms, fingerprint="f")),
        lines=(line,),
        amounts=Amounts(subtotal=1_000, shipping=0, tax=0, currency="USD"),
    )
