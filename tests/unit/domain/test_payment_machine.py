"""Money: at most one capture, 0 ≤ refunded ≤ captured = amount, and every record is written once."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.codec import JsonEvents
from actors.domain import payment as payments
from actors.domain.decision import Rejected
from tests.unit.domain.builders import NOW_MS, at

CODEC = JsonEvents(payments.Event)


def attempted(n: int, amount: int) -> payments.Attempted:
    return payments.Attempted(
        key=f"ord_1:capture:{n}", user_id="usr_1", amount=amount, currency="USD", method_type="card"
    )


class PaymentMachine(RuleBasedStateMachine):
    """The order's records in any order, as often as one likes."""

    def __init__(self) -> None:
        super().__init__()
        self.payment = payments.Payment(order_id="ord_1")
        self.journal: list[Any] = []
        self.captured_key: str | None = None
        self.refunds: dict[str, int] = {}

    def send(self, command: payments.Command) -> Any:
        decision = payments.decide(self.payment, command, at(NOW_MS + len(self.journal)))
        assert len(decision.events) <= 1
        before = self.payment
        for event in decision.events:
            self.payment = payments.apply(self.payment, event)
            self.journal.append(event)
        if isinstance(decision.reply, Rejected):
            assert not decision.events
        else:
            assert decision.reply == payments.PaymentAnswer(payment=self.payment)
            again = payments.decide(self.payment, command, at(NOW_MS + len(self.journal)))
            assert not again.events, "a repeat changes nothing"
            assert again.reply == decision.reply
            assert decision.replayed == (self.payment == before)
        return decision.reply

    @rule(n=st.integers(1, 2), amount=st.sampled_from((0, 1, 999, 10**13)))
    def capture(self, n: int, amount: int) -> None:
        amount = self.payment.amount if self.captured_key else amount
        reply = self.send(payments.RecordCapture(attempt=attempted(n, amount), reference="r", last4="4242"))
        key = f"ord_1:capture:{n}"
        if self.captured_key not in (None, key):
            assert reply.code == "already-paid"
        elif self.captured_key is None:
            self.captured_key = key
            assert self.payment.captured == self.payment.amount == amount

    @rule(n=st.integers(1, 2), unknown=st.booleans())
    def fail(self, n: int, unknown: bool) -> None:
        before = self.payment
        attempt = attempted(n, self.payment.amount)
        self.send(
            payments.RecordUnknown(attempt=attempt)
            if unknown
            else payments.RecordFailure(attempt=attempt, reason="card_declined")
        )
        if self.captured_key:
            assert self.payment is before, "nothing unmakes a capture"

    @rule(n=st.integers(1, 4), amount=st.integers(1, 600))
    def refund(self, n: int, amount: int) -> None:
        key = f"ord_1:refund:{n}"
        left = self.payment.captured - self.payment.refunded
        reply = self.send(payments.RecordRefund(key=key, amount=self.refunds.get(key, amount), reference="r"))
        if key in self.refunds:
            return
        if amount > left:
            assert reply.code == "over-captured"
        else:
            self.refunds[key] = amount

    @invariant()
    def exact(self) -> None:
        payment = self.payment
        assert 0 <= payment.refunded <= payment.captured <= payment.amount  # I4
        assert payment.refunded == sum(self.refunds.values())
        assert sum(isinstance(event, payments.PaymentCaptured) for event in self.journal) <= 1
        assert payment.version == len(self.journal)
        if self.refunds:
            whole = payment.refunded == payment.captured
            assert payment.status == ("refunded" if whole else "partially_refunded")

    def teardown(self) -> None:
        folded = payments.Payment(order_id="ord_1")
        for event in self.journal:
            folded = payments.apply(folded, CODEC.decode(*CODEC.encode(event)))
        assert folded == self.payment


TestPayment = PaymentMachine.TestCase
