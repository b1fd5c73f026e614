"""I4: an order's money. I5: the payments against the gateway's own ledger. I12, the totals, is in `totals.py`."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from actors.audit.facts import Findings, Moment, OrderFact, PaymentFact
from actors.audit.journal import Folded
from actors.audit.orders import payment_move
from actors.domain import payment
from actors.domain.payment import Payment
from persistence.records import Head, LedgerRow


class PaymentWatcher:
    """Watches the payments' journal. Leaves every payment in `facts`, by order id."""

    def __init__(self) -> None:
        self.findings = Findings()
        self.facts: dict[str, PaymentFact] = {}
        self._captures: dict[str, list[str]] = {}
        self._refunds: dict[str, list[tuple[str, int]]] = {}

    def saw(self, entity: Folded, event: Any, _at_ms: int) -> None:
        """Count what was taken and given back, without the domain's `apply`."""
        if isinstance(event, payment.PaymentCaptured):
            keys = self._captures.setdefault(entity.id, [])
            keys.append(event.attempt.key)
            if len(keys) > 1:
                self.findings.breach("I4", f"payment of {entity.id}", f"captured {len(keys)} times: {', '.join(keys)}")
        elif isinstance(event, payment.PaymentRefunded):
            self._refunds.setdefault(entity.id, []).append((event.key, event.amount))

    def moved(self, entity: Folded, before: Any, _event: Any, _at_ms: int) -> None:
        """I13 of payments."""
        self.findings.checked["I13"] += 1
        why = payment_move(before, entity.state)
        if why:
            self.findings.breach("I13", f"payment of {entity.id}", f"version {entity.version}: {why}")

    def done(self, entity: Folded, _head: Head) -> None:
        """Keep what is compared with orders and ledger."""
        state = entity.state
        assert isinstance(state, Payment)
        self.facts[entity.id] = PaymentFact(
            order_id=entity.id,
            status=state.status,
            amount=state.amount,
            captured=state.captured,
            refunded=state.refunded,
            currency=state.currency,
            failed=state.capture_key if state.status == "failed" else "",
            captures=tuple(self._captures.pop(entity.id, ())),
            refunds=tuple(self._refunds.pop(entity.id, ())),
        )


def check_payments(orders: Mapping[str, OrderFact], payments: Mapping[str, PaymentFact], moment: Moment) -> Findings:
    """I4. The payments' head was read before the orders': a payment's order is known."""
    findings = Findings()
    for order_id, paid in payments.items():
        findings.checked["I4"] += 1
        subject, order = f"payment of {order_id}", orders.get(order_id)
        if not 0 <= paid.refunded <= paid.captured <= paid.amount:
            findings.breach("I4", subject, f"amount {paid.amount}, captured {paid.captured}, refunded {paid.refunded}")
        if order is None:
            findings.breach("I4", subject, "there is no such order", settling=True)
        elif (paid.amount, paid.currency) != (order.total, order.currency):
            detail = f"it is of {paid.amount} {paid.currency}, the order's total is {order.total} {order.currency}"
            findings.breach("I4", subject, detail)
        elif paid.was_captured and not order.paid and not order.paying:
            findings.breach("I4", subject, f"captured, but its order is {order.status} and not paid", settling=True)
    for order in orders.values():
        _check_order(findings, order, payments.get(order.id), moment)
    return findings


def _check_order(findings: Findings, order: OrderFact, paid: PaymentFact | None, moment: Moment) -> None:
    subject, grace = f"order {order.id}", moment.grace
    captured, refunded = (paid.captured, paid.refunded) if paid is not None else (0, 0)
    if order.sold and moment.past(order.decided_at_ms, grace.settle_ms) and (paid is None or not paid.was_captured):
        findings.breach("I4", subject, f"{order.status}, but its payment was not captured", settling=True)
    over = order.status in ("cancelled", "refunded", "expired", "payment_failed")
    if over and refunded != captured and moment.past(order.decided_at_ms, grace.fresh_ms):
        findings.breach("I4", subject, f"{order.status}, captured {captured}, refunded {refunded}", settling=True)
    if order.status == "cancelled" and order.paid and moment.past(order.decided_at_ms, grace.fresh_ms):
        asked = sum(amount for _, amount, done in order.refunds if done)
        if asked != order.total:
            findings.breach("I4", subject, f"cancelled, paid {order.total}, given back {asked}")


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger must, or may, have under a key. `because`: who says so."""

    kind: str
    statuses: tuple[str, ...]
    amount: int
    currency: str
    because: str
    must: bool = True


class LedgerCheck:
    """I5, and I4 by the ledger alone. Feed it the whole ledger, read after everything else, then `finish`."""

    def __init__(self, orders: Mapping[str, OrderFact], payments: Mapping[str, PaymentFact], moment: Moment) -> None:
        self.findings = Findings()
        self._moment = moment
        self._payments = payments
        self._expected: dict[str, Expected] = {}
        self._captured: dict[str, str] = {}
        for order in orders.values():
            self._expect_order(order)
        for paid in payments.values():
            self._expect_payment(paid)

    def feed(self, rows: Iterable[LedgerRow]) -> None:
        """Some of its rows; each once."""
        for row in rows:
            if row.kind == "intent":
                continue  # nothing has moved under it
            self.findings.checked["I5"] += 1
            order_id = row.key.rsplit(":", 2)[0]
            if row.kind == "capture" and row.status == "succeeded":
                first = self._captured.setdefault(order_id, row.key)
                if first != row.key:
                    self.findings.breach("I4", f"order {order_id}", f"the gateway captured {first} and {row.key}")
            self._compare(row, self._expected.pop(row.key, None), order_id)

    def finish(self) -> None:
        """What the gateway should have and has not."""
        for key, expected in self._expected.items():
            if expected.must:
                self.findings.breach("I5", f"key {key}", f"{expected.because}, the gateway knows nothing of it")

    def _compare(self, row: LedgerRow, expected: Expected | None, order_id: str) -> None:
        subject = f"key {row.key}"
        if expected is None:
            # Younger than the heads: its order was not read to there.
            if self._moment.past(row.at_ms, self._moment.grace.settle_ms):
                self.findings.breach("I5", subject, f"a {row.status} {row.kind} that no order asked for", settling=True)
            return
        if row.kind != expected.kind or row.status not in expected.statuses:
            detail = f"the gateway has a {row.status} {row.kind}; {expected.because}"
            self.findings.breach("I5", subject, detail, settling=True)
        if (row.amount_minor, row.currency) != (expected.amount, expected.currency):
            detail = f"the gateway has {row.amount_minor} {row.currency}; {expected.because}: {expected.amount}"
            self.findings.breach("I5", subject, f"{detail} {expected.currency}")
        if row.kind == "refund":
            paid = self._payments.get(order_id)
            if paid is not None and paid.captures and row.of_key not in paid.captures:
                self.findings.breach("I5", subject, f"it gives back {row.of_key}, captured was {paid.captures[0]}")

    def _expect_order(self, order: OrderFact) -> None:
        for key, status in order.attempts:
            statuses: tuple[str, ...] = ("succeeded", "declined", "closed")
            if status == "captured":
                statuses = ("succeeded",)
            elif status in ("failed", "closed"):
                statuses = ("declined", "closed")
            self._expected[key] = Expected(
                kind="capture",
                statuses=statuses,
                amount=order.total,
                currency=order.currency,
                because=f"the order's attempt is {status}",
                must=status not in ("open", "unknown"),
            )
        for key, amount, done in order.refunds:
            self._expected[key] = Expected(
                kind="refund",
                statuses=("succeeded",),
                amount=amount,
                currency=order.currency,
                because="the order's refund is done" if done else "the order's refund is under way",
                must=done,
            )

    def _expect_payment(self, paid: PaymentFact) -> None:
        if paid.failed:
            self._expect("capture", ("declined", "closed"), paid.failed, paid.amount, paid.currency)
        for key in paid.captures:
            self._expect("capture", ("succeeded",), key, paid.captured, paid.currency)
        for key, amount in paid.refunds:
            self._expect("refund", ("succeeded",), key, amount, paid.currency)

    def _expect(self, kind: str, statuses: tuple[str, ...], key: str, amount: int, currency: str) -> None:
        self._expected[key] = Expected(
            kind=kind,
            statuses=statuses,
            amount=amount,
            currency=currency,
            because=f"the payment has a {statuses[0]} {kind}",
        )


def check_refunds(orders: Mapping[str, OrderFact], payments: Mapping[str, PaymentFact], moment: Moment) -> Findings:
    """I4: the payment's refunds are those that the order asked for."""
    findings = Findings()
    for order in orders.values():
        paid = payments.get(order.id)
        given = dict(paid.refunds) if paid is not None else {}
        asked = {key: amount for key, amount, _ in order.refunds}
        done = {key for key, _, is_done in order.refunds if is_done}
        if any(asked.get(key) != amount for key, amount in given.items()):
            detail = f"given back {given}, asked for {asked}"
            findings.breach("I4", f"order {order.id}", detail, settling=True)
        if done - given.keys() and moment.past(order.updated_at_ms, moment.grace.fresh_ms):
            missing = ", ".join(sorted(done - given.keys()))
            findings.breach("I4", f"order {order.id}", f"done, but not in its payment: {missing}", settling=True)
    return findings
