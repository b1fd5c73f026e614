"""A cart as the shopper sees it, with what keeps its lines from being ordered."""

from collections.abc import Iterator, Mapping

from actors.domain.cart import IDLE_TTL_MS, Cart, CartLine
from persistence.records import PriceRecord
from serve.clock import iso
from serve.schemas.cart import CartItemOut, CartOut, CartProblemOut
from serve.shop.offers import Offers


async def checked(cart: Cart, offers: Offers, *, currency: str, now_ms: int) -> CartOut:
    """The cart against prices and stock of now. `currency` is the shop's, for a cart that has none yet."""
    if not cart.lines:
        return remembered(cart, currency=currency, now_ms=now_ms)
    skus = [line.sku for line in cart.lines]
    prices = await offers.prices(skus)
    available = await offers.available(skus)
    return _shown(cart, list(_problems(cart, prices, available)), currency, now_ms)


def remembered(cart: Cart, *, currency: str, now_ms: int) -> CartOut:
    """The cart with the problems that it knows of by itself: the same bytes whenever this version is shown."""
    shown_skus = {line.sku for line in cart.lines}
    problems = [
        CartProblemOut(code="price-changed", sku=change.sku, was=change.was, now=change.now)
        for change in cart.repriced
        if change.sku in shown_skus
    ]
    return _shown(cart, problems, currency, now_ms)


def _problems(cart: Cart, prices: Mapping[str, PriceRecord], available: Mapping[str, int]) -> Iterator[CartProblemOut]:
    was_shown = {change.sku: change.was for change in cart.repriced}
    for line in cart.lines:
        price = prices.get(line.sku)
        if price is None:
            yield CartProblemOut(code="unavailable", sku=line.sku)
            continue
        was = was_shown.get(line.sku, line.unit_price)
        if was != price.price_minor:
            yield CartProblemOut(code="price-changed", sku=line.sku, was=was, now=price.price_minor)
        if available[line.sku] < line.quantity:
            yield CartProblemOut(code="insufficient-stock", sku=line.sku, available=available[line.sku])


def _shown(cart: Cart, problems: list[CartProblemOut], currency: str, now_ms: int) -> CartOut:
    # Built without checking: every part of it was checked when it came in.
    return CartOut.model_construct(
        id=cart.id,
        items=[_item(line) for line in cart.lines],
        subtotal=sum(line.unit_price * line.quantity for line in cart.lines),
        currency=cart.lines[0].currency if cart.lines else currency,
        item_count=sum(line.quantity for line in cart.lines),
        problems=problems,
        version=cart.version,
        expires_at=iso(cart.expires_at_ms if cart.updated_at_ms else now_ms + IDLE_TTL_MS),
    )


def _item(line: CartLine) -> CartItemOut:
    return CartItemOut.model_construct(
        product_id=line.product_id,
        sku=line.sku,
        name=line.name,
        unit_price=line.unit_price,
        quantity=line.quantity,
        line_total=line.unit_price * line.quantity,
    )
