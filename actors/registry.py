"""ENTITY_TYPES: one table, one row per entity type. The only place where domain and runtime meet."""

from typing import Any

import msgspec

from actors.codec import JsonEvents
from actors.domain import cart, checkout, inquiries, inventory, order, order_rules, payment
from actors.domain.decision import Context
from actors.runtime.entity_type import Checkpoint, EntityType, RowMeta, SagaType
from persistence.records import OrderRow, PaymentRow, StockRow
from persistence.stores import Stores


def _itself(entity_id: str) -> str:
    return entity_id


def _encode(state: Any) -> bytes:
    return msgspec.json.encode(state)


# --- order ---------------------------------------------------------------------------------------


def _order_view(state: order.Order, meta: RowMeta) -> OrderRow:
    return OrderRow(
        id=state.id,
        version=meta.version,
        shard=meta.shard,
        seqs=meta.seqs,
        user_id=state.user_id,
        status=state.status,
        total_minor=state.amounts.total,
        currency=state.amounts.currency,
        created_at_ms=state.created_at_ms,
        updated_at_ms=state.updated_at_ms,
        state=meta.state,
    )


async def _load_orders(stores: Stores, ids: list[str]) -> dict[str, OrderRow]:
    return dict(await stores.orders.load(ids))


def _wake_order(state: order.Order | None, _since_ms: int, context: Context) -> checkout.Woken | None:
    """Rows are hints: an order that was paid since, or that wants to be asked later, has nothing to do now."""
    due_ms = order_rules.due(state)
    return checkout.Woken() if due_ms is not None and due_ms <= context.earliest_ms else None


def _order_late(state: order.Order | None, command: Any) -> order.OrderAnswer | None:
    """Past the deadline a durable order is the answer: accepted, it settles on its own."""
    waits = (order.PlaceOrder, order.PayOrder, order.CancelOrder, order.RefundOrder)
    return order.OrderAnswer(order=state, accepted=True) if state and isinstance(command, waits) else None


ORDER = EntityType(
    name="order",
    service="orders",
    checkpoint=Checkpoint.STATE_ROW,
    routing_key=_itself,
    commands=order.Command,
    replies=order.Reply,
    events=JsonEvents(order.Event),
    initial=lambda _id: None,
    decide=order_rules.decide,
    apply=order_rules.apply,
    version=lambda state: state.version if state else 0,
    encode_state=_encode,
    decode_state=msgspec.json.Decoder(order.Order).decode,
    view=_order_view,
    load=_load_orders,
    urgent=lambda command: isinstance(command, order.URGENT),
    due_after=lambda state, _event, _due_ms: order_rules.due(state),
    next_due=lambda state, _since_ms: order_rules.due(state),
    wake=_wake_order,
    saga=SagaType(
        begin=checkout.begin,
        resume=checkout.resume,
        next_step=checkout.next_step,
        record=checkout.record,
        joins=checkout.joins,
        in_flight=checkout.in_flight,
        unsettled=checkout.unsettled,
    ),
    late=_order_late,
)


# --- payment: beside its order, so it has the order's id and shard -----------------------------------


def _payment_view(state: payment.Payment, meta: RowMeta) -> PaymentRow:
    return PaymentRow(
        id=state.id,
        version=meta.version,
        shard=meta.shard,
        seqs=meta.seqs,
        order_id=state.order_id,
        user_id=state.user_id,
        status=state.status,
        amount_minor=state.amount,
        captured_minor=state.captured,
        refunded_minor=state.refunded,
        currency=state.currency,
        created_at_ms=state.created_at_ms,
        updated_at_ms=state.updated_at_ms,
        state=meta.state,
    )


async def _load_payments(stores: Stores, ids: list[str]) -> dict[str, PaymentRow]:
    return dict(await stores.payments.load(ids))


PAYMENT = EntityType(
    name="payment",
    service="payments",
    checkpoint=Checkpoint.STATE_ROW,
    routing_key=_itself,
    commands=payment.Command,
    replies=payment.Reply,
    events=JsonEvents(payment.Event),
    initial=lambda order_id: payment.Payment(order_id=order_id),
    decide=payment.decide,
    apply=payment.apply,
    version=lambda state: state.version,
    encode_state=_encode,
    decode_state=msgspec.json.Decoder(payment.Payment).decode,
    view=_payment_view,
    load=_load_payments,
    urgent=lambda command: isinstance(command, payment.URGENT),
)


# --- inventory SKU -------------------------------------------------------------------------------


def _stock_view(state: inventory.Sku, meta: RowMeta) -> StockRow:
    return StockRow(
        sku=state.sku, version=meta.version, on_hand=state.on_hand, reserved=state.reserved, sold=state.sold
    )


async def _with_return_row(command: inventory.ReturnStock, sku: str, stores: Stores) -> inventory.ReturnStock:
    returned = await stores.stock.returned(command.order_id, sku)
    return msgspec.structs.replace(command, already_returned=returned)


def _return_row(event: Any, sku: str) -> tuple[str, str] | None:
    if isinstance(event, inventory.StockReturned) or (isinstance(event, inventory.StockReleased) and event.returns):
        return event.order_id, sku
    return None


SKU = EntityType(
    name="sku",
    service="inventory",
    checkpoint=Checkpoint.SNAPSHOT,
    routing_key=_itself,
    commands=inventory.Command,
    replies=inventory.Reply,
    events=JsonEvents(inventory.Event),
    initial=lambda sku: inventory.Sku(sku=sku),
    decide=inventory.decide,
    apply=inventory.apply,
    version=lambda state: state.version,
    encode_state=inventory.encode,
    decode_state=inventory.decode,
    view=_stock_view,
    load=None,
    urgent=lambda command: isinstance(command, inventory.URGENT),
    preload=_with_return_row,
    prefers_preload=lambda command: isinstance(command, inventory.ReturnStock),
    returns=_return_row,
    due_after=inventory.due_after,
    next_due=inventory.next_due,
    wake=inquiries.wake_sku,
    saga=SagaType(
        begin=inquiries.begin_sku,
        resume=lambda _sku, _state: None,
        next_step=inquiries.next_step_sku,
        record=inquiries.record_sku,
        joins=inquiries.shared,
        in_flight=inquiries.never,
        unsettled=inquiries.never,
    ),
)


# --- cart ----------------------------------------------------------------------------------------


CART = EntityType(
    name="cart",
    service=None,
    checkpoint=Checkpoint.COMPARE_AND_SET,
    routing_key=_itself,
    commands=cart.Command,
    replies=cart.Reply,
    events=JsonEvents(cart.Event),
    initial=lambda cart_id: cart.Cart(id=cart_id),
    decide=cart.decide,
    apply=cart.apply,
    version=lambda state: state.version,
    encode_state=_encode,
    decode_state=msgspec.json.Decoder(cart.Cart).decode,
    view=None,
    load=None,
    urgent=lambda command: isinstance(command, cart.URGENT),
    saga=SagaType(
        begin=inquiries.begin_cart,
        resume=lambda _cart, _state: None,
        next_step=inquiries.next_step_cart,
        record=inquiries.record_cart,
        joins=inquiries.shared,
        in_flight=inquiries.never,
        unsettled=inquiries.never,
    ),
    expires_at_ms=lambda state: state.expires_at_ms,
)

ENTITY_TYPES: dict[str, EntityType] = {entity.name: entity for entity in (CART, SKU, ORDER, PAYMENT)}
