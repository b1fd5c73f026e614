"""An order's history: its journal events as people may read them, without tokens, e-mail addresses and keys."""

from typing import Any, assert_never

from actors.domain import order
from actors.registry import ENTITY_TYPES
from persistence.records import JournalEvent, OrderRow
from serve.clock import iso
from serve.deps import Services
from serve.schemas.money import money_number
from serve.schemas.orders import HistoryEventOut, HistoryOut

_SYSTEM = "system"


async def history_of(services: Services, row: OrderRow) -> HistoryOut:
    """Everything that happened to the order of this row, oldest first."""
    events = await services.stores.journals["orders"].read_at(row.shard, row.seqs)
    return HistoryOut(data=[_shown(event) for event in events if event.entity_id == row.id])


def _shown(stored: JournalEvent) -> HistoryEventOut:
    event: order.Event = ENTITY_TYPES["order"].events.decode(stored.type, stored.schema_version, stored.body)
    return HistoryEventOut(
        type=stored.type, at=iso(event.at_ms), version=stored.version, actor=_actor(event), data=_data(event)
    )


def _actor(event: order.Event) -> str:
    if isinstance(event, order.OrderCreated):
        return event.actor
    if isinstance(event, order.PaymentAttempted):
        return event.attempt.mark.actor
    mark = getattr(event, "mark", None)
    return _SYSTEM if mark is None else str(mark.actor)


def _data(event: order.Event) -> dict[str, Any]:
    match event:
        case order.OrderCreated():
            return _created(event)
        case order.PaymentAttempted(attempt=attempt):
            return {"attempt": attempt.n, "method": {"type": attempt.method.type}}
        case order.PaymentDelayed():
            return {"attempt": event.n, "asked": event.asked, "askAgainAt": iso(event.ask_at_ms)}
        case order.OrderConfirmed():
            return {"attempt": event.n, "last4": event.last4}
        case order.OrderPaymentFailed():
            return {"attempt": event.n, "reason": event.reason}
        case order.OrderCancelRequested():
            return {"reason": event.reason, "refund": _refund(event.refund)}
        case order.CancelledPaymentSettled():
            return {"attempt": event.n, "status": event.status, "refund": _refund(event.refund)}
        case order.OrderCancelled():
            return {"reason": event.reason, "refunded": money_number(event.refunded)}
        case order.OrderShipped():
            return {"carrier": event.carrier, "trackingNumber": event.tracking_number}
        case order.RefundRequested(refund=refund):
            return {"refund": _refund(refund)}
        case order.RefundCompleted() | order.OrderRefunded():
            return {"refund": {"n": event.n}}
        case order.OrderExpired() | order.OrderDelivered():
            return {}
        case _:
            assert_never(event)


def _created(event: order.OrderCreated) -> dict[str, Any]:
    return {
        "items": [
            {"sku": line.sku, "quantity": line.quantity, "unitPrice": money_number(line.unit_price)}
            for line in event.lines
        ],
        "total": money_number(event.amounts.total),
        "currency": event.amounts.currency,
        "paying": event.payment is not None,
        "expiresAt": iso(event.expires_at_ms),
    }


def _refund(refund: order.RefundRequest | None) -> dict[str, Any] | None:
    return None if refund is None else {"n": refund.n, "amount": money_number(refund.amount)}
