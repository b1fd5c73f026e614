"""Carts."""

from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from actors.domain.cart import CartAnswer, ClearCart
from serve.answers import answer
from serve.auth.access import allow
from serve.auth.principal import Principal, Role, idempotency_principal, require_cart
from serve.deps import Caller, EntityReply, Services, ServicesOf
from serve.errors import invalid_field, not_found
from serve.etags import ExpectedVersions
from serve.idempotency import ClientKey
from serve.openapi import problems
from serve.route import service_router
from serve.schemas.cart import AddItemIn, CartOut, MergeIn, SetQuantityIn, is_cart_id
from serve.schemas.catalog import Sku, is_product_id
from serve.shop import cart_merge, cart_view, carts
from serve.shop.commands import accepted, ask, identify, remembered

SHOPPERS = (Role.GUEST, Role.CUSTOMER, Role.ADMIN)
router = service_router("cart")


@router.get("/cart/{user_id}", response_model=CartOut)
@allow(*SHOPPERS)
async def get_cart(user_id: str, caller: Caller, services: ServicesOf) -> Response:
    """The cart, with what keeps its lines from being ordered now. An empty one if it is new."""
    cart = await carts.read_cart(services, user_id, _actor(caller, user_id))
    shown = await cart_view.checked(
        cart, services.offers, currency=services.settings.catalog_currency, now_ms=services.clock.now_ms()
    )
    return answer(shown, version=cart.version, exclude_none=True)


@router.post(
    "/cart/{user_id}/items",
    status_code=201,
    response_model=CartOut,
    responses=problems(
        "product-not-found",
        "unknown-sku",
        "insufficient-stock",
        "too-many-lines",
        "too-many-units",
        "version-mismatch",
        "idempotency-key-reused",
    ),
)
@allow(*SHOPPERS)
async def add_item(
    request: Request,
    user_id: str,
    body: AddItemIn,
    caller: Caller,
    key: ClientKey,
    expected: ExpectedVersions,
    services: ServicesOf,
) -> Response:
    """Put units into the cart at the catalog's price."""
    identity = identify(services, request, key, _actor(caller, user_id))
    reply = await remembered(services, "cart", identity)
    if reply is None:
        reply = await carts.add_item(
            services,
            user_id,
            product_id=body.product_id,
            sku=body.sku,
            quantity=body.quantity,
            expected=await carts.expected_version(services, user_id, identity.actor, expected),
            identity=identity,
        )
    return _changed(services, reply, status=201)


@router.put(
    "/cart/{user_id}/items/{product_id}",
    response_model=CartOut,
    responses=problems("item-not-found", "ambiguous-sku", "insufficient-stock", "version-mismatch"),
)
@allow(*SHOPPERS)
async def set_quantity(
    request: Request,
    user_id: str,
    product_id: str,
    body: SetQuantityIn,
    caller: Caller,
    expected: ExpectedVersions,
    services: ServicesOf,
) -> Response:
    """Set a line's quantity; 0 removes it."""
    return await _set(request, services, caller, user_id, product_id, body.sku, body.quantity, expected)


@router.delete(
    "/cart/{user_id}/items/{product_id}",
    response_model=CartOut,
    responses=problems("item-not-found", "ambiguous-sku", "version-mismatch"),
)
@allow(*SHOPPERS)
async def remove_item(
    request: Request,
    user_id: str,
    product_id: str,
    caller: Caller,
    expected: ExpectedVersions,
    services: ServicesOf,
    sku: Annotated[Sku | None, Query()] = None,
) -> Response:
    """Remove a line."""
    return await _set(request, services, caller, user_id, product_id, sku, 0, expected)


@router.delete("/cart/{user_id}", response_model=CartOut, responses=problems("version-mismatch"))
@allow(*SHOPPERS)
async def clear_cart(
    request: Request, user_id: str, caller: Caller, expected: ExpectedVersions, services: ServicesOf
) -> Response:
    """Remove every line."""
    identity = identify(services, request, None, _actor(caller, user_id))
    version = await carts.expected_version(services, user_id, identity.actor, expected)
    return _changed(services, await ask(services, "cart", user_id, ClearCart(expected_version=version), identity))


@router.post(
    "/cart/{user_id}/merge",
    response_model=CartOut,
    responses=problems("cart-checked-out", "too-many-lines", "idempotency-key-reused"),
)
@allow(*SHOPPERS)
async def merge_cart(
    request: Request, user_id: str, body: MergeIn, caller: Caller, key: ClientKey, services: ServicesOf
) -> Response:
    """Take the lines of a guest's cart, which is empty afterwards."""
    identity = identify(services, request, key, _actor(caller, user_id))
    _actor(caller, body.cart_id)
    if body.cart_id == user_id:
        raise invalid_field("/cartId", "A cart cannot be merged into itself.")
    reply = await remembered(services, "cart", identity)
    if reply is None:
        reply = await cart_merge.merge_carts(services.refs, body.cart_id, user_id, identity)
    else:
        await cart_merge.finish_merge(services.refs, services.stores.carts, body.cart_id, user_id, identity.actor)
    return _changed(services, reply)


async def _set(
    request: Request,
    services: Services,
    caller: Principal,
    user_id: str,
    product_id: str,
    sku: str | None,
    quantity: int,
    expected: frozenset[int] | None,
) -> Response:
    identity = identify(services, request, None, _actor(caller, user_id))
    if not is_product_id(product_id):
        raise not_found()
    reply = await carts.set_quantity(
        services,
        user_id,
        product_id=product_id,
        sku=sku,
        quantity=quantity,
        expected=await carts.expected_version(services, user_id, identity.actor, expected),
        identity=identity,
    )
    return _changed(services, reply)


def _actor(caller: Principal, cart_id: str) -> str:
    """Who acts on this cart. Raises `Problem` 404 if the cart is not the caller's."""
    if not is_cart_id(cart_id):
        raise not_found()
    require_cart(caller, cart_id)
    return idempotency_principal(caller, cart_id)


def _changed(services: Services, reply: EntityReply, *, status: int = 200) -> Response:
    cart = accepted(reply, CartAnswer).cart
    shown = cart_view.remembered(cart, currency=services.settings.catalog_currency, now_ms=services.clock.now_ms())
    return answer(shown, status=status, version=cart.version, replayed=reply.replayed, exclude_none=True)
