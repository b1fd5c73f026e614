"""Orders: who may see one, placing one, and telling one what to do."""

import secrets
from typing import Any, Final

from actors.domain.ids import is_account
from actors.domain.order import Order, OrderAnswer, PlaceOrder
from actors.registry import ENTITY_TYPES
from cluster.envelope import IdempotencyKey
from cluster.errors import ClusterError
from persistence.records import OrderRow
from serve.auth.principal import Principal, Role
from serve.deps import EntityReply, Services
from serve.errors import PROBLEMS, Problem, invalid_field, not_found
from serve.schemas.orders import OrderIn, is_order_id
from serve.shop.commands import CommandIdentity, accepted, command

PLACE_ROUTE: Final = "POST /api/v1/orders"
_REPEAT: Final = "Repeat the request with the same Idempotency-Key."
_UNSETTLED: Final = frozenset({"try-again", "attempt-over", "attempt-closed", "attempt-superseded"})
"""Refusals that say nothing about the order: the same request may still succeed."""


def decode_order(row: OrderRow) -> Order:
    """The order that a state row holds."""
    order = ENTITY_TYPES["order"].decode_state(row.state)
    assert isinstance(order, Order)
    return order


def may_see(caller: Principal, cart_id: str | None, user_id: str) -> bool:
    """Whether an order of `user_id` exists for this caller.

    It does for its owner, for administrators, and if it is a guest's, for whoever knows the cart's id.
    """
    return caller.owns(user_id) or (cart_id == user_id and not is_account(user_id))


async def visible_order(services: Services, caller: Principal, cart_id: str | None, order_id: str) -> OrderRow:
    """The order's row. Raises `Problem` 404 if there is none, or none that this caller may know of.

    Other services see every order.
    """
    row = (await services.stores.orders.load([order_id])).get(order_id) if is_order_id(order_id) else None
    if row is None or not (caller.role is Role.SERVICE or may_see(caller, cart_id, row.user_id)):
        raise not_found()
    return row


async def place(
    services: Services, caller: Principal, body: OrderIn, *, key: str | None, fingerprint: str
) -> tuple[EntityReply, OrderAnswer]:
    """Place the order that (caller, key) names. Without a key one is made, and told in every 503.

    Raises `Problem`: what the order refuses, 422, 404 for an account that does not exist; 503 if the outcome is not known:
    the same request with the same key then finds it out.
    """
    principal = caller.id or body.user_id
    used_key = key or secrets.token_urlsafe(24)
    order_id = services.ids.order(principal, used_key)
    request = PlaceOrder(
        user_id=body.user_id,
        email=await _email(services, caller, body),
        cart_id="" if body.items else body.user_id,
        lines=tuple(item.line() for item in body.items or ()),
        shipping_address=body.shipping_address.address(),
        payment_method=None if body.payment_method is None else body.payment_method.method(),
        expected_total=body.expected_total,
    )
    idempotency = IdempotencyKey(principal=principal, route=PLACE_ROUTE, key=used_key, fingerprint=fingerprint)
    try:
        reply = await services.refs.ask(
            "order",
            order_id,
            request,
            command_id=services.ids.command(principal, PLACE_ROUTE, used_key),
            idempotency=idempotency,
            actor=principal,
            deadline_ms=services.settings.orders_place_timeout_ms,
        )
        return reply, accepted(reply, OrderAnswer)
    except ClusterError as error:
        code = error.code if error.code in PROBLEMS else "unavailable"
        raise Problem(code, _REPEAT, extensions={"idempotencyKey": used_key}) from error
    except Problem as problem:
        if problem.code not in _UNSETTLED:
            raise
        raise Problem("try-again", _REPEAT, extensions={"idempotencyKey": used_key}) from problem


async def command_order(
    services: Services, order_id: str, what: object, identity: CommandIdentity, *, settles: bool = False
) -> tuple[EntityReply, OrderAnswer]:
    """The order after the command. `settles`: it waits for the payment gateway, so it gets the time of a placement."""
    deadline_ms = services.settings.orders_place_timeout_ms if settles else None
    reply = await command(services, "order", order_id, what, identity, deadline_ms=deadline_ms)
    return reply, accepted(reply, OrderAnswer)


async def list_orders(
    services: Services, user_id: str, status: Any | None, limit: int, cursor: str | None
) -> tuple[list[Order], str | None, int | None]:
    """An account's orders, newest first, with the next cursor. Raises `ValueError` for a cursor that is not ours."""
    rows, next_cursor, total = await services.stores.orders.list(
        user_id=user_id, status=status, limit=limit, cursor=cursor
    )
    return [decode_order(row) for row in rows], next_cursor, total


async def _email(services: Services, caller: Principal, body: OrderIn) -> str:
    """Where the order is told of: the address in the request, else the account's."""
    if body.email is not None:
        return body.email
    if not is_account(body.user_id):
        raise invalid_field("/email", "A guest's order needs an email.")
    if caller.id == body.user_id and caller.email is not None:
        return caller.email
    user = await services.stores.users.by_id(body.user_id)
    if user is None:
        raise not_found()
    return user.email
