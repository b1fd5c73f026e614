"""An order under any order of commands: legal transitions only, cancel is final, money never given back twice."""

from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors.codec import JsonEvents
from actors.domain import order as orders
from actors.domain import order_rules
from actors.domain.decision import Decision, Parked, Rejected
from tests.unit.domain.builders import METHOD, NOW_MS, at, create, place

CODEC = JsonEvents(orders.Event)
LEGAL = {
    None: {"pending"},
    "pending": {"confirmed", "payment_failed", "expired", "cancelled"},
    "confirmed": {"shipped", "cancelled"},
    "shipped": {"delivered"},
    "delivered": {"refunded"},
}
"""I13, written down apart from the code."""
PLACE = {"command_id": "place", "fingerprint": "f", "not_after_ms": NOW_MS + 8_000}


class OrderMachine(RuleBasedStateMachine):
    """Clients' and the saga's commands, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.order: orders.Order | None = None
        self.journal: list[Any] = []
        self.now_ms = NOW_MS
        self.commands = 0
        self.answers: dict[str, Any] = {}
        self.placed: Any = None
        self.captures = 0

    def send(self, command: Any, *, name: str = "", fingerprint: str = "") -> Decision | Parked:
        self.commands += 1
        context = at(self.now_ms, command_id=name or f"c{self.commands}", fingerprint=fingerprint)
        return self.deliver(command, context)

    def deliver(self, command: Any, context: Any) -> Decision | Parked:
        outcome = order_rules.decide(self.order, command, context)
        for event in outcome.events:
            before = self.order
            self.order = order_rules.apply(self.order, event)
            self.journal.append(event)
            self.moved(before, self.order, event)
        if isinstance(outcome, Decision) and isinstance(outcome.reply, Rejected):
            assert not outcome.events
        return outcome

    def moved(self, before: orders.Order | None, after: orders.Order, event: Any) -> None:
        old = before.status if before else None
        assert old == after.status or after.status in LEGAL.get(old, ()), f"{old} -> {after.status}"  # I13
        assert after.version == (before.version if before else 0) + 1
        if before is not None and before.cancel is not None:
            assert after.cancel == before.cancel
            assert after.status in (before.status, "cancelled"), "a cancel that was requested is final"
        if isinstance(event, orders.OrderConfirmed) or getattr(event, "status", "") == "captured":
            self.captures += 1
        if after.status in ("cancelled", "refunded"):
            captured = after.amounts.total if after.paid else 0
            assert sum(refund.amount for refund in after.refunds if refund.done) == captured  # I4

    # --- rules -------------------------------------------------------------------------------------

    @initialize(pay=st.booleans())
    def placed_order(self, pay: bool) -> None:
        self.deliver(create(pay=pay), at(NOW_MS, command_id="place", fingerprint="f"))
        self.repeat_placement()

    @rule()
    def create_again(self) -> None:
        before = self.order
        self.deliver(create(), at(self.now_ms, command_id="place", fingerprint="f"))
        assert self.order is before

    @rule()
    def repeat_placement(self) -> None:
        """A repeat waits for, and then always gets, the same answer."""
        outcome = self.deliver(place(("A", 2)), at(self.now_ms, **PLACE))
        if isinstance(outcome, Parked):
            assert self.order is not None
            assert self.order.paying or self.order.cancelling
            assert self.placed is None
            return
        reply = outcome.reply
        if isinstance(reply, Rejected):
            assert reply.code == "payment-declined"
        if self.order is not None and self.order.placed is not None:
            assert isinstance(reply, Rejected) or reply.order.status in ("pending", "confirmed")
            if self.placed is None:
                self.placed = reply
            elif self.order.status != "payment_failed":
                assert msgspec.json.encode(reply) == msgspec.json.encode(self.placed), "the same body"

    @rule(status=st.sampled_from(("captured", "failed", "closed", "unknown")), n=st.integers(1, 2))
    def settle(self, status: Any, n: int) -> None:
        order = self.order
        assert order is not None
        if status == "closed" and not order.cancelling:
            return  # an attempt is closed only for a cancel
        before = order
        self.send(orders.SettlePayment(n=n, status=status, reference="r", last4="4242", reason="declined"))
        if not before.paying or before.payment is None or before.payment.n != n:
            assert self.order is before, "the gateway's word is taken once"

    @rule(n=st.integers(1, 2))
    def news(self, n: int) -> None:
        """A callback may come at any time: it never changes what is known of the money."""
        before = self.order
        assert before is not None
        self.send(orders.PaymentNews(key=orders.capture_key(before.id, n)))
        assert self.order is not None
        assert (self.order.status, self.order.paid, self.order.paying) == (before.status, before.paid, before.paying)
        assert order_rules.due(self.order) == order_rules.due(before) or order_rules.due(self.order) == self.now_ms

    @rule(amount=st.sampled_from((1_000, 999)), name=st.sampled_from(("pay1", "pay2")))
    def pay(self, amount: int, name: str) -> None:
        before = self.order
        assert before is not None
        outcome = self.send(orders.PayOrder(amount=amount, currency="USD", method=METHOD), name=name)
        if before.paying or before.paid or before.status != "pending" or before.cancelling or amount != 1_000:
            assert self.order is before
        if isinstance(outcome, Decision) and isinstance(outcome.reply, Rejected):
            return
        assert self.order is not None
        assert self.order.payment is not None
        assert self.order.payment.mark.command_id == name

    @rule(name=st.sampled_from(("cancel1", "cancel2")))
    def cancel(self, name: str) -> None:
        before = self.order
        assert before is not None
        outcome = self.send(orders.CancelOrder(reason="changed my mind"), name=name)
        legal = before.status in ("pending", "confirmed") and before.cancel is None
        assert (self.order is not before) == legal
        if not legal and isinstance(outcome, Decision):
            assert isinstance(outcome.reply, Rejected) == (before.cancel is None or before.cancel.command_id != name)

    @rule(name=st.sampled_from(("refund1", "refund2", "refund3")), amount=st.sampled_from((None, 1, 400, 1_001, -5, 0)))
    def refund(self, name: str, amount: int | None) -> None:
        before = self.order
        assert before is not None
        known = any(refund.mark.command_id == name for refund in before.refunds)
        self.send(orders.RefundOrder(amount=amount), name=name)
        assert self.order is not None
        if known:
            assert self.order is before, "a repeat gives nothing back"
        assert self.order.refund_reserved <= self.order.amounts.total

    @rule(n=st.integers(1, 4))
    def complete_refund(self, n: int) -> None:
        """Only the saga sends it, for a refund that the gateway has made."""
        self.send(orders.CompleteRefund(n=n))

    @rule()
    def complete_cancel(self) -> None:
        before = self.order
        assert before is not None
        self.send(orders.CompleteCancel())
        assert self.order is not None
        if self.order.status == "cancelled" and before.status != "cancelled":
            assert not before.paying
            assert before.open_refund is None

    @rule(ship=st.booleans(), name=st.sampled_from(("", "move")))
    def move(self, ship: bool, name: str) -> None:
        before = self.order
        assert before is not None
        move = orders.ShipOrder(carrier="DHL", tracking_number="1") if ship else orders.DeliverOrder()
        outcome = self.send(move, name=f"{name}{ship}" if name else "")
        assert isinstance(outcome, Decision)
        needed = "confirmed" if ship else "shipped"
        if before.status != needed or before.cancelling:
            assert self.order is before
            if isinstance(outcome.reply, Rejected):
                assert outcome.reply.code == "illegal-transition"
                assert outcome.reply.data["allowed"] == list(before.allowed)

    @rule()
    def expire(self) -> None:
        before = self.order
        assert before is not None
        self.send(orders.ExpireOrder())
        assert self.order is not None
        if self.order.status == "expired" and before.status != "expired":
            assert self.now_ms >= before.expires_at_ms
            assert not before.paying
            assert not before.cancelling

    @rule(ms=st.sampled_from((1, 5_000, 60_000, orders.UNPAID_TTL_MS)))
    def later(self, ms: int) -> None:
        self.now_ms += ms

    # --- what always holds -------------------------------------------------------------------------

    @invariant()
    def one_capture_at_most(self) -> None:
        assert self.captures <= 1

    @invariant()
    def asks_get_one_word(self) -> None:
        """Holds and claims are told the same as the status says; nothing is both sold and given back."""
        order = self.order
        if order is None:
            return
        word = self.send(orders.InquireHold(sku="A", attempt_ms=order.attempt_ms))
        verdict = word.reply.verdict  # type: ignore[union-attr]
        if order.status in ("payment_failed", "cancelled", "expired"):
            assert verdict == "release"
        elif order.status == "pending" or order.cancelling:
            assert verdict == "keep"
        else:
            assert verdict == "commit"

    @invariant()
    def due_when_something_waits(self) -> None:
        order = self.order
        if order is None or order.status != "pending" or order.cancelling:
            return
        attempt = order.payment
        if attempt is None:
            assert order_rules.due(order) == order.expires_at_ms
        elif attempt.status == "unknown":
            assert order_rules.due(order) == attempt.ask_at_ms

    def teardown(self) -> None:
        folded: orders.Order | None = None
        for event in self.journal:
            folded = order_rules.apply(folded, CODEC.decode(*CODEC.encode(event)))
        assert folded == self.order
        stored = msgspec.json.encode(self.order)
        assert self.order is None or msgspec.json.decode(stored, type=orders.Order) == self.order


TestOrder = OrderMachine.TestCase
