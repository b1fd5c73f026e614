"""Each record of a payment, and each refusal."""

from typing import Any

import pytest

from actors.domain import payment as payments
from tests.unit.domain.builders import at, code_of, events_of, reply_of


def attempt(n: int = 1, amount: int = 1_000) -> payments.Attempted:
    key = f"ord_1:capture:{n}"
    return payments.Attempted(key=key, user_id="u", amount=amount, currency="USD", method_type="card")


def capture(n: int = 1, amount: int = 1_000) -> payments.RecordCapture:
    return payments.RecordCapture(attempt=attempt(n, amount), reference="ref", last4="4242")


def failure(n: int = 1) -> payments.RecordFailure:
    return payments.RecordFailure(attempt=attempt(n), reason="card_declined")


def refund(n: int, amount: int) -> payments.RecordRefund:
    return payments.RecordRefund(key=f"ord_1:refund:{n}", amount=amount, reference="ref")


UNKNOWN = payments.RecordUnknown(attempt=attempt())


def run(*commands: Any) -> payments.Payment:
    state = payments.Payment(order_id="ord_1")
    for command in commands:
        for event in events_of(payments.decide(state, command, at())):
            state = payments.apply(state, event)
    return state


@pytest.mark.parametrize(
    ("commands", "status", "captured", "refunded"),
    [
        ([], "pending", 0, 0),
        ([UNKNOWN], "unknown", 0, 0),
        ([failure()], "failed", 0, 0),
        ([UNKNOWN, failure()], "failed", 0, 0),
        ([capture()], "captured", 1_000, 0),
        ([UNKNOWN, capture()], "captured", 1_000, 0),
        ([failure(), capture()], "captured", 1_000, 0),
        ([capture(), failure()], "captured", 1_000, 0),
        ([capture(), UNKNOWN], "captured", 1_000, 0),
        ([failure(), UNKNOWN], "failed", 0, 0),
        ([failure(1), payments.RecordUnknown(attempt=attempt(2))], "unknown", 0, 0),
        ([capture(), refund(1, 400)], "partially_refunded", 1_000, 400),
        ([capture(), refund(1, 400), refund(1, 400)], "partially_refunded", 1_000, 400),
        ([capture(), refund(1, 400), refund(2, 600)], "refunded", 1_000, 1_000),
        ([capture(amount=0), capture(amount=0)], "captured", 0, 0),
    ],
)
def test_the_table_of_records_holds(commands: list[Any], status: str, captured: int, refunded: int) -> None:
    state = run(*commands)
    assert (state.status, state.captured, state.refunded) == (status, captured, refunded)


def test_a_repeat_changes_nothing() -> None:
    for command in (capture(), capture(amount=0), failure(), UNKNOWN):
        again = payments.decide(run(command), command, at())
        assert (events_of(again), again.replayed) == ((), True)


def test_two_attempts_are_never_both_captured() -> None:
    assert code_of(payments.decide(run(capture(1)), capture(2), at())) == "already-paid"


def test_no_more_is_given_back_than_was_captured() -> None:
    assert code_of(payments.decide(run(capture(), refund(1, 400)), refund(2, 601), at())) == "over-captured"
    assert code_of(payments.decide(run(), refund(1, 1), at())) == "over-captured"


def test_a_payment_that_nobody_made_is_not_found() -> None:
    assert code_of(payments.decide(run(), payments.GetPayment(), at())) == "payment-not-found"
    assert reply_of(payments.decide(run(capture()), payments.GetPayment(), at())).payment == run(capture())


def test_a_payment_is_named_after_its_order() -> None:
    assert run().id == "pay_1"
