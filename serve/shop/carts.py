"""Carts: reading them, and the changes that need the catalog or the stock first."""

from actors.domain.cart import AddLine, Cart, CartAnswer, CartLine, GetCart, SetQuantity
from serve.deps import EntityReply, Services
from serve.errors import Problem
from serve.etags import require_version
from serve.shop.commands import CommandIdentity, accepted, ask


async def read_cart(services: Services, cart_id: str, actor: str) -> Cart:
    """The cart as it is; an empty one if there is none. A claim too old to be trusted is resolved first."""
    identity = CommandIdentity(actor=actor, command_id=services.ids.fresh())
    return accepted(await ask(services, "cart", cart_id, GetCart(), identity), CartAnswer).cart


async def expected_version(services: Services, cart_id: str, actor: str, admitted: frozenset[int] | None) -> int | None:
    """The one version at which a change may happen (None: at any). Raises `Problem` 412 if it is none of those."""
    if admitted is None or len(admitted) == 1:
        return None if admitted is None else next(iter(admitted))
    cart = await read_cart(services, cart_id, actor)
    require_version(admitted, cart.version)
    return cart.version


async def add_item(
    services: Services,
    cart_id: str,
    *,
    product_id: str,
    sku: str,
    quantity: int,
    expected: int | None,
    identity: CommandIdentity,
) -> EntityReply:
    """Put units into the cart, at the catalog's name and price.

    Raises `Problem`: 404 product-not-found, 422 unknown-sku (the product has no such variant), or `ClusterError`.
    """
    price = (await services.offers.prices([sku])).get(sku)
    if price is None or price.product_id != product_id:
        known = await services.stores.catalog.product(product_id)
        raise Problem("product-not-found" if known is None else "unknown-sku", extensions={"skus": [sku]})
    line = CartLine(
        product_id=product_id,
        sku=sku,
        name=price.name,
        unit_price=price.price_minor,
        price_version=price.version,
        currency=price.currency,
        quantity=quantity,
    )
    available = await services.offers.available([sku])
    command = AddLine(line=line, available=available[sku], expected_version=expected)
    return await ask(services, "cart", cart_id, command, identity)


async def set_quantity(
    services: Services,
    cart_id: str,
    *,
    product_id: str,
    sku: str | None,
    quantity: int,
    expected: int | None,
    identity: CommandIdentity,
) -> EntityReply:
    """Set a line's quantity; 0 removes it."""
    available = {} if quantity == 0 else await services.offers.available(await _variants(services, product_id, sku))
    command = SetQuantity(
        product_id=product_id, sku=sku, quantity=quantity, available=available, expected_version=expected
    )
    return await ask(services, "cart", cart_id, command, identity)


async def _variants(services: Services, product_id: str, sku: str | None) -> list[str]:
    """The SKUs whose stock the cart may have to know: it alone knows which one the shopper means."""
    if sku is not None:
        return [sku]
    product = await services.stores.catalog.product(product_id)
    return [] if product is None else [variant.sku for variant in product.variants]
