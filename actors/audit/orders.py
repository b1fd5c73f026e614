"""I13: only legal transitions, by a table that the domain does not share. I11: what should have ended by now."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.audit.facts import Findings, Moment, OrderFact
from actors.audit.journal import Folded
from actors.audit.totals import PriceVersions, check_total
from actors.domain import checkout, order, order_rules
from actors.domain.order import Order
from actors.domain.payment import Payment
from persistence.records import Head

ORDER_MOVES: Mapping[str, frozenset[str]] = {
    "": frozenset({"pending"}),
    "pending": frozenset({"confirmed", "payment_failed", "cancelled", "expired"}),
    "confirmed": frozenset({"shipped", "cancelled"}),
    "shipped": frozenset({"delivered"}),
    "delivered": frozenset({"refunded"}),
}
PAYMENT_MOVES: Mapping[str, frozenset[str]] = {
    "": frozenset({"unknown", "captured", "failed"}),
    "unknown": frozenset({"captured", "failed"}),
    "failed": frozenset({"unknown", "captured", "failed"}),
    "captured": frozenset({"partially_refunded", "refunded"}),
    "partially_refunded": frozenset({"partially_refunded", "refunded"}),
}


@dataclass(slots=True)
class _Trail:
    """What an order's last state no longer tells."""

    decided_at_ms: int = 0
    was_confirmed: bool = False
    attempts: dict[int, str] = field(default_factory=dict)


class OrderWatcher:
    """Watches the orders' journal. Leaves every order in `facts`."""

    def __init__(self, prices: PriceVersions) -> None:
        self.findings = Findings()
        self.facts: dict[str, OrderFact] = {}
        self._prices = prices
        self._trails: dict[str, _Trail] = {}

    def saw(self, entity: Folded, event: Any, at_ms: int) -> None:
        """Judge whether this event may follow this state."""
        self.findings.checked["I13"] += 1
        why = _illegal(entity.state, event, at_ms)
        if why:
            self.findings.breach("I13", f"order {entity.id}", f"version {entity.version}: {why}")

    def moved(self, entity: Folded, before: Any, event: Any, at_ms: int) -> None:
        """Judge whether this status may follow that one."""
        after = entity.state
        assert isinstance(after, Order)
        trail = self._trails.setdefault(entity.id, _Trail())
        was = before.status if isinstance(before, Order) else ""
        if after.status != was:
            trail.decided_at_ms = at_ms
            if after.status not in ORDER_MOVES.get(was, ()):
                detail = f"version {entity.version}: {was or 'nothing'} became {after.status}"
                self.findings.breach("I13", f"order {entity.id}", detail)
        trail.was_confirmed = trail.was_confirmed or after.status == "confirmed"
        if after.payment is not None:
            trail.attempts[after.payment.n] = after.payment.status
        if isinstance(event, order.OrderCreated):
            self.findings.add(check_total(after, self._prices))

    def done(self, entity: Folded, head: Head) -> None:
        """Keep what is compared with stock and money."""
        state, trail = entity.state, self._trails.pop(entity.id, None)
        if isinstance(state, Order) and trail is not None:
            self.facts[entity.id] = _fact(state, trail, entity, head)


def _fact(state: Order, trail: _Trail, entity: Folded, head: Head) -> OrderFact:
    return OrderFact(
        id=state.id,
        status=state.status,
        total=state.amounts.total,
        currency=state.amounts.currency,
        lines=tuple((line.sku, line.quantity) for line in state.lines),
        attempt_ms=state.attempt_ms,
        cancel_requested=state.cancel is not None,
        paid=state.paid,
        payment_status=state.payment.status if state.payment else "",
        was_confirmed=trail.was_confirmed,
        attempts=tuple((order.capture_key(state.id, n), status) for n, status in trail.attempts.items()),
        refunds=tuple((order.refund_key(state.id, ask.n), ask.amount, ask.done) for ask in state.refunds),
        created_at_ms=state.created_at_ms,
        decided_at_ms=trail.decided_at_ms,
        updated_at_ms=state.updated_at_ms,
        expires_at_ms=state.expires_at_ms,
        in_flight=checkout.in_flight(state),
        due_ms=order_rules.due(state),
        unchanged=entity.was_before,
        found_by_scan=entity.seqs[-1] >= head.low_water,
    )


def _illegal(before: Order | None, event: order.Event, at_ms: int) -> str:
    """Why this event may not follow this state; "" if it may."""
    if before is None:
        return "" if isinstance(event, order.OrderCreated) else f"{type(event).__name__} before the order was created"
    match event:
        case order.OrderCreated():
            return "it was created before"
        case order.PaymentAttempted():
            legal = before.status == "pending" and not before.paying and not before.paid and not before.cancelling
        case order.PaymentDelayed() | order.CancelledPaymentSettled():
            legal = before.paying
        case order.OrderConfirmed() | order.OrderPaymentFailed():
            legal = before.paying and before.cancel is None
        case order.OrderCancelRequested():
            legal = before.cancel is None and before.status in ("pending", "confirmed")
        case order.OrderCancelled():
            legal = before.cancelling and not before.paying and before.open_refund is None
        case order.OrderExpired():
            legal = not before.paying and not before.cancelling and at_ms >= before.expires_at_ms
        case order.OrderShipped() | order.OrderDelivered():
            legal = before.cancel is None
        case order.RefundRequested():
            legal = before.paid and before.cancel is None
        case order.RefundCompleted():
            legal = before.open_refund is not None
        case order.OrderRefunded():
            legal = before.open_refund is None and before.refund_reserved == before.amounts.total
    return "" if legal else f"{type(event).__name__} while {before.status}, payment {_payment(before)}"


def _payment(state: Order) -> str:
    status = state.payment.status if state.payment else "none"
    return status + (", cancel requested" if state.cancel is not None else "")


def payment_move(before: Payment, after: Payment) -> str:
    """Why a payment may not go from one state to the other; "" if it may."""
    was = before.status if before.version else ""
    if after.status not in PAYMENT_MOVES.get(was, ()):
        return f"{was or 'nothing'} became {after.status}"
    if was == "failed" and before.capture_key == after.capture_key:
        return f"the gateway's last word on {after.capture_key} was failed, then {after.status}"
    return ""


def check_deadlines(orders: Mapping[str, OrderFact], due: Mapping[str, int], moment: Moment) -> Findings:
    """I11. `due`: the timer rows of orders. An unknown payment may take as long as the gateway does."""
    findings, grace = Findings(), moment.grace
    for fact in orders.values():
        findings.checked["I11"] += 1
        subject = f"order {fact.id}"
        if fact.in_flight and moment.past(fact.updated_at_ms, grace.saga_ms):
            detail = (
                f"{fact.status}, payment {fact.payment_status or 'none'}: nothing happened for {_age(fact, moment)}"
            )
            findings.breach("I11", subject, detail, settling=True)
        if fact.in_flight and not fact.found_by_scan:
            findings.breach("I11", subject, "in flight, but before the low water: a new owner would not find it")
        waits = fact.status == "pending" and not fact.paying and not fact.cancelling
        if waits and moment.past(fact.expires_at_ms, grace.unpaid_ms):
            findings.breach("I11", subject, "unpaid, and its time is over", settling=True)
        if fact.unchanged and fact.due_ms is not None and due.get(fact.id, fact.due_ms + 1) > fact.due_ms:
            findings.breach("I11", subject, "it waits, but no timer would wake it in time", settling=True)
    return findings


def _age(fact: OrderFact, moment: Moment) -> str:
    return f"{(moment.as_of_ms - fact.updated_at_ms) / 1000:.0f} s"
