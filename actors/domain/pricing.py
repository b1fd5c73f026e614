"""What an order costs: always the catalog's price of now, never the client's.

Tax and shipping are policies; both charge nothing until a shop configures its own.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from actors.domain.cart import CartLine, Repriced
from actors.domain.decision import Rejected
from actors.domain.money import MINOR_MAX
from actors.domain.order import Amounts, OrderLine, PlaceOrder
from actors.domain.steps import Priced


class ChargesPolicy(Protocol):
    """What is added to the goods, in minor units."""

    def shipping(self, subtotal: int) -> int:
        """Shipping of goods worth `subtotal`."""

    def tax(self, subtotal: int) -> int:
        """Tax on goods worth `subtotal`."""


class NoCharges:
    """The default: goods only."""

    def shipping(self, subtotal: int) -> int:
        """Nothing."""
        return 0 * subtotal

    def tax(self, subtotal: int) -> int:
        """Nothing."""
        return 0 * subtotal


CHARGES: ChargesPolicy = NoCharges()


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why the lines cannot be sold at these prices, and what the cart should show instead."""

    answer: Rejected
    repriced: tuple[Repriced, ...] = ()


def unpriced(
    request: PlaceOrder,
    cart_lines: tuple[CartLine, ...] | None,
    wanted: Mapping[str, int],
    prices: Mapping[str, Priced],
) -> Refusal | None:
    """None if everything can be sold at the price the shopper was shown.

    Refusals: unknown-sku, mixed-currencies, amount-too-large, price-changed (with the new total).
    """
    missing = [sku for sku in wanted if sku not in prices]
    if missing:
        return Refusal(answer=Rejected("unknown-sku", "Not for sale.", {"skus": missing}))
    if len({prices[sku].currency for sku in wanted}) > 1:
        return Refusal(answer=Rejected("mixed-currencies", "One order is paid in one currency."))
    total = total_of(wanted, prices)
    if total > MINOR_MAX:
        return Refusal(answer=Rejected("amount-too-large", "This order is worth too much."))
    repriced = tuple(
        Repriced(sku=line.sku, was=line.unit_price, now=prices[line.sku].price_minor)
        for line in cart_lines or ()
        if line.unit_price != prices[line.sku].price_minor
    )
    if not repriced and request.expected_total in (None, total):
        return None
    currency = next(prices[sku].currency for sku in wanted)
    answer = Rejected(
        "price-changed",
        "The price is not what was shown.",
        {"total_minor": total, "currency": currency, "skus": [change.sku for change in repriced]},
    )
    return Refusal(answer=answer, repriced=repriced)


def lines_of(wanted: Mapping[str, int], prices: Mapping[str, Priced]) -> tuple[tuple[OrderLine, ...], Amounts]:
    """The order's lines, with the price versions they are sold at, and what they come to."""
    lines = tuple(
        OrderLine(
            sku=sku,
            product_id=prices[sku].product_id,
            name=prices[sku].name,
            quantity=quantity,
            unit_price=prices[sku].price_minor,
            price_version=prices[sku].price_version,
        )
        for sku, quantity in wanted.items()
    )
    subtotal = sum(line.unit_price * line.quantity for line in lines)
    currency = prices[lines[0].sku].currency
    amounts = Amounts(
        subtotal=subtotal, shipping=CHARGES.shipping(subtotal), tax=CHARGES.tax(subtotal), currency=currency
    )
    return lines, amounts


def total_of(wanted: Mapping[str, int], prices: Mapping[str, Priced]) -> int:
    """What these units come to, with everything."""
    return lines_of(wanted, prices)[1].total
