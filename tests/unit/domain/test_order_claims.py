"""Each refusal of an order, what repeats are answered, and what others are told about their holds and claims."""

from typing import Any

import msgspec
import pytest

from actors.domain import order as orders
from actors.domain import order_rules
from actors.domain.decision import Context, Parked
from tests.unit.domain.builders import METHOD, NOW_MS, at, code_of, create, events_of, place, reply_of

ATTEMPT = NOW_MS + 8_000
PLACED = {"command_id": "place", "fingerprint": "f", "not_after_ms": ATTEMPT}


def run(state: orders.Order | None, *commands: Any, now_ms: int = NOW_MS) -> orders.Order:
    """The order after the commands; each has its own id."""
    for given in commands:
        command, context = given if isinstance(given, tuple) else (given, at(now_ms, command_id=type(given).__name__))
        for event in events_of(order_rules.decide(state, command, context)):
            state = order_rules.apply(state, event)
    assert state is not None
    return state


def settled(status: Any) -> orders.SettlePayment:
    return orders.SettlePayment(n=1, status=status, reference="ref", last4="4242", reason="card_declined")


PAYING = run(None, (create(), at(**PLACED)))
UNPAID = run(None, (create(pay=False), at(**PLACED)))
CONFIRMED = run(PAYING, settled("captured"))
SHIPPED = run(CONFIRMED, orders.ShipOrder(carrier="DHL", tracking_number="1"))
DELIVERED = run(SHIPPED, orders.DeliverOrder())
FAILED = run(PAYING, settled("failed"))
EXPIRED = run(UNPAID, orders.ExpireOrder(), now_ms=NOW_MS + orders.UNPAID_TTL_MS)
CANCELLING = run(CONFIRMED, orders.CancelOrder())
CANCELLED = run(CANCELLING, orders.CompleteRefund(n=1), orders.CompleteCancel())
REFUNDED = run(DELIVERED, orders.RefundOrder(), orders.CompleteRefund(n=1))
UNKNOWN = run(PAYING, settled("unknown"))
STATES: dict[str, orders.Order | None] = {
    "none": None,
    "pending (paying)": PAYING,
    "pending (unknown)": UNKNOWN,
    "pending (unpaid)": UNPAID,
    "confirmed": CONFIRMED,
    "cancelling": CANCELLING,
    "shipped": SHIPPED,
    "delivered": DELIVERED,
    "payment_failed": FAILED,
    "cancelled": CANCELLED,
    "expired": EXPIRED,
    "refunded": REFUNDED,
}
"""Every kind of state, by the name that the tables in the docs use."""


def decide(state: orders.Order | None, command: Any, context: Context | None = None) -> Any:
    return order_rules.decide(state, command, context or at(command_id="fresh"))


def test_the_states_are_what_they_are_called() -> None:
    for name, state in STATES.items():
        if state is not None:
            assert name.split(" ", maxsplit=1)[0] in (state.status, "cancelling")


@pytest.mark.parametrize(
    ("state", "command", "code"),
    [
        (None, orders.GetOrder(), "order-not-found"),
        (None, orders.CancelOrder(), "order-not-found"),
        (None, orders.PayOrder(amount=1, currency="USD", method=METHOD), "order-not-found"),
        (CONFIRMED, orders.PayOrder(amount=1_000, currency="USD", method=METHOD), "already-paid"),
        (PAYING, orders.PayOrder(amount=1_000, currency="USD", method=METHOD), "payment-in-progress"),
        (UNKNOWN, orders.PayOrder(amount=1_000, currency="USD", method=METHOD), "payment-in-progress"),
        (UNPAID, orders.PayOrder(amount=999, currency="USD", method=METHOD), "amount-mismatch"),
        (UNPAID, orders.PayOrder(amount=1_000, currency="EUR", method=METHOD), "amount-mismatch"),
        (EXPIRED, orders.PayOrder(amount=1_000, currency="USD", method=METHOD), "illegal-transition"),
        (FAILED, orders.PayOrder(amount=1_000, currency="USD", method=METHOD), "illegal-transition"),
        (SHIPPED, orders.CancelOrder(), "illegal-transition"),
        (CANCELLING, orders.CancelOrder(), "illegal-transition"),
        (CANCELLED, orders.CancelOrder(), "illegal-transition"),
        (FAILED, orders.CancelOrder(), "illegal-transition"),
        (UNPAID, orders.ShipOrder(), "illegal-transition"),
        (CANCELLING, orders.ShipOrder(), "illegal-transition"),
        (CONFIRMED, orders.DeliverOrder(), "illegal-transition"),
        (UNPAID, orders.RefundOrder(), "illegal-transition"),
        (CANCELLING, orders.RefundOrder(), "illegal-transition"),
        (CONFIRMED, orders.RefundOrder(amount=1_001), "over-captured"),
        (CONFIRMED, orders.RefundOrder(amount=0), "over-captured"),
        (CONFIRMED, orders.RefundOrder(amount=-1), "over-captured"),
        (REFUNDED, orders.RefundOrder(), "over-captured"),
    ],
)
def test_each_refusal(state: orders.Order | None, command: Any, code: str) -> None:
    assert code_of(decide(state, command)) == code


def test_an_illegal_transition_says_what_is_allowed() -> None:
    assert reply_of(decide(CONFIRMED, orders.DeliverOrder())).data == {
        "status": "confirmed",
        "allowed": ["shipped", "cancelled"],
    }
    assert reply_of(decide(CANCELLING, orders.ShipOrder())).data["allowed"] == []


def test_an_unpaid_order_is_not_paid_after_its_time() -> None:
    late = at(NOW_MS + orders.UNPAID_TTL_MS, command_id="fresh")
    pay = orders.PayOrder(amount=1_000, currency="USD", method=METHOD)
    assert code_of(decide(UNPAID, pay, late)) == "illegal-transition"


# --- placing -------------------------------------------------------------------------------------


def test_an_attempt_never_becomes_an_order_after_its_time_by_the_latest_clock() -> None:
    assert len(events_of(decide(None, create(), at(ATTEMPT - 5, latest_ms=ATTEMPT)))) == 1
    assert code_of(decide(None, create(), at(ATTEMPT - 5, latest_ms=ATTEMPT + 1))) == "attempt-over"


def test_an_order_is_created_once() -> None:
    decision = decide(CONFIRMED, create())
    assert (events_of(decision), decision.replayed) == ((), True)


@pytest.mark.parametrize("state", [PAYING, UNKNOWN, run(PAYING, orders.CancelOrder())])
def test_a_placement_waits_while_its_outcome_is_open(state: orders.Order) -> None:
    assert decide(state, place(("A", 2)), at(**PLACED)) == Parked()


def test_a_new_placement_begins_the_saga() -> None:
    request = place(("A", 2))
    assert decide(None, request, at(**PLACED)) == Parked(begin=request)


def test_a_repeat_has_the_first_body_whatever_the_order_became() -> None:
    first = decide(CONFIRMED, place(("A", 2)), at(**PLACED))
    assert not first.replayed
    for state in (SHIPPED, DELIVERED, REFUNDED, CANCELLING, CANCELLED):
        again = decide(state, place(("A", 2)), at(NOW_MS + 9, **{**PLACED, "not_after_ms": ATTEMPT + 9}))
        assert again.replayed
        assert msgspec.json.encode(again.reply) == msgspec.json.encode(first.reply)


def test_an_unpaid_order_s_repeat_has_the_pending_body() -> None:
    first = decide(UNPAID, place(("A", 2), pay=False), at(**PLACED)).reply
    paid = run(UNPAID, orders.PayOrder(amount=1_000, currency="USD", method=METHOD), settled("captured"))
    for state in (paid, EXPIRED, run(paid, orders.ShipOrder())):
        assert decide(state, place(("A", 2), pay=False), at(**PLACED)).reply == first


def test_a_declined_placement_is_declined_again_with_the_order_s_id() -> None:
    refusal = reply_of(decide(FAILED, place(("A", 2)), at(**PLACED)))
    assert (refusal.code, refusal.data) == ("payment-declined", {"orderId": "ord_1", "reason": "card_declined"})


@pytest.mark.parametrize("state", [PAYING, CONFIRMED, FAILED])
def test_another_request_with_the_same_key_is_refused(state: orders.Order) -> None:
    assert code_of(decide(state, place(("B", 1)), at(fingerprint="g"))) == "idempotency-key-reused"


# --- paying --------------------------------------------------------------------------------------


def test_an_attempt_is_journaled_before_the_charge_and_a_repeat_waits_for_it() -> None:
    pay = orders.PayOrder(amount=1_000, currency="USD", method=METHOD)
    context = at(command_id="pay", fingerprint="p")
    outcome = decide(UNPAID, pay, context)
    assert isinstance(outcome, Parked)
    (event,) = outcome.events
    state = order_rules.apply(UNPAID, event)
    assert decide(state, pay, context) == Parked()
    assert code_of(decide(state, pay, at(command_id="pay", fingerprint="q"))) == "idempotency-key-reused"
    paid = run(state, settled("captured"))
    assert reply_of(decide(paid, pay, context)).order == paid
    declined = run(state, settled("failed"))
    assert code_of(decide(declined, pay, context)) == "payment-declined"
    closed = run(state, orders.CancelOrder(), settled("closed"))
    assert code_of(decide(closed, pay, context)) == "illegal-transition"


def test_an_unknown_payment_is_asked_about_after_1_s_then_doubling_to_60_s() -> None:
    state, delays = PAYING, []
    for _ in range(8):
        state = run(state, settled("unknown"))
        assert state.payment is not None
        delays.append(state.payment.ask_at_ms - NOW_MS)
        assert order_rules.due(state) == state.payment.ask_at_ms
    assert delays == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]


def test_news_of_the_gateway_make_the_next_question_due_now_once() -> None:
    state = run(run(PAYING, settled("unknown")), settled("unknown"))
    news = orders.PaymentNews(key=orders.capture_key(state.id, 1))
    (event,) = events_of(decide(state, news, at(NOW_MS + 5)))
    told = order_rules.apply(state, event)
    assert order_rules.due(told) == NOW_MS + 5
    assert told.payment == msgspec.structs.replace(state.payment, ask_at_ms=NOW_MS + 5), "the backoff goes on"
    assert events_of(decide(told, news, at(NOW_MS + 6))) == ()
    assert events_of(decide(state, news, at(NOW_MS + orders.ASK_GATEWAY_MAX_MS))) == (), "it is due anyway"


@pytest.mark.parametrize("name", [name for name in STATES if name not in ("none", "pending (unknown)")])
def test_news_change_nothing_where_no_answer_is_waited_for(name: str) -> None:
    state = STATES[name]
    assert state is not None
    decision = decide(state, orders.PaymentNews(key=orders.capture_key(state.id, 1)))
    assert (events_of(decision), reply_of(decision).order) == ((), state)


def test_news_of_something_else_change_nothing() -> None:
    for key in ("", "ord_1", orders.capture_key("ord_1", 2), orders.refund_key("ord_1", 1), orders.capture_key("o", 1)):
        assert events_of(decide(UNKNOWN, orders.PaymentNews(key=key))) == ()
    assert code_of(decide(None, orders.PaymentNews(key="ord_1:capture:1"))) == "order-not-found"


@pytest.mark.parametrize("state", [PAYING, UNKNOWN, run(PAYING, orders.CancelOrder())])
def test_an_order_never_expires_while_money_may_move_or_a_cancel_is_on_its_way(state: orders.Order) -> None:
    late = at(NOW_MS + 10 * orders.UNPAID_TTL_MS)
    assert events_of(decide(state, orders.ExpireOrder(), late)) == ()


def test_an_unpaid_order_expires_at_its_time_and_not_before() -> None:
    assert order_rules.due(UNPAID) == NOW_MS + orders.UNPAID_TTL_MS
    assert events_of(decide(UNPAID, orders.ExpireOrder(), at(NOW_MS + orders.UNPAID_TTL_MS - 1))) == ()
    assert EXPIRED.status == "expired"


# --- cancelling and refunding --------------------------------------------------------------------


def test_a_cancel_refunds_what_is_left_of_the_capture() -> None:
    part = run(CONFIRMED, (orders.RefundOrder(amount=300), at(command_id="r1")), orders.CompleteRefund(n=1))
    cancelling = run(part, orders.CancelOrder())
    assert [refund.amount for refund in cancelling.refunds] == [300, 700]
    whole = run(CONFIRMED, (orders.RefundOrder(), at(command_id="r1")), orders.CompleteRefund(n=1))
    assert [refund.amount for refund in run(whole, orders.CancelOrder()).refunds] == [1_000]


def test_a_cancel_is_not_complete_while_money_is_on_its_way() -> None:
    assert events_of(decide(CANCELLING, orders.CompleteCancel())) == ()
    waiting = run(UNKNOWN, orders.CancelOrder())
    assert events_of(decide(waiting, orders.CompleteCancel())) == ()
    assert waiting.payment is not None
    assert waiting.payment.status == "open", "the gateway is asked now"


def test_a_late_capture_of_a_cancelled_order_is_refunded() -> None:
    state = run(UNKNOWN, orders.CancelOrder(), settled("captured"))
    assert (state.status, state.paid, [refund.amount for refund in state.refunds]) == ("pending", True, [1_000])
    assert run(state, orders.CompleteRefund(n=1), orders.CompleteCancel()).status == "cancelled"


def test_a_repeated_cancel_or_refund_waits_and_then_has_its_answer() -> None:
    cancel = at(command_id="c")
    state = run(CONFIRMED, (orders.CancelOrder(), cancel))
    assert decide(state, orders.CancelOrder(), cancel) == Parked()
    assert code_of(decide(state, orders.CancelOrder(), at(command_id="c", fingerprint="x"))) == "idempotency-key-reused"
    state = run(state, orders.CompleteRefund(n=1), orders.CompleteCancel())
    assert reply_of(decide(state, orders.CancelOrder(), cancel)).order.status == "cancelled"
    refund = at(command_id="r")
    state = run(CONFIRMED, (orders.RefundOrder(amount=1), refund))
    assert decide(state, orders.RefundOrder(amount=1), refund) == Parked()
    other = decide(state, orders.RefundOrder(amount=1), at(command_id="r", fingerprint="x"))
    assert code_of(other) == "idempotency-key-reused"
    state = run(state, orders.CompleteRefund(n=1))
    assert reply_of(decide(state, orders.RefundOrder(amount=1), refund)).order == state
    assert events_of(decide(state, orders.CompleteRefund(n=1))) == ()


def test_a_full_refund_after_delivery_is_the_status_refunded() -> None:
    part = run(DELIVERED, (orders.RefundOrder(amount=999), at(command_id="r1")), orders.CompleteRefund(n=1))
    assert part.status == "delivered"
    assert run(part, (orders.RefundOrder(), at(command_id="r2")), orders.CompleteRefund(n=2)).status == "refunded"


def test_a_repeated_ship_does_nothing() -> None:
    context = at(command_id="s")
    state = run(CONFIRMED, (orders.ShipOrder(carrier="DHL"), context))
    again = decide(state, orders.ShipOrder(carrier="DHL"), context)
    assert (events_of(again), again.replayed) == ((), True)
    code = code_of(decide(state, orders.ShipOrder(), at(command_id="s", fingerprint="x")))
    assert code == "idempotency-key-reused"


# --- questions -----------------------------------------------------------------------------------

OTHER, OVER = ATTEMPT - 1, ATTEMPT + 10


@pytest.mark.parametrize(
    ("state", "hold", "claim"),
    [
        ("pending (paying)", "keep", "keep"),
        ("pending (unknown)", "keep", "keep"),
        ("pending (unpaid)", "keep", "remove"),
        ("confirmed", "commit", "remove"),
        ("cancelling", "keep", "remove"),
        ("shipped", "commit", "remove"),
        ("delivered", "commit", "remove"),
        ("refunded", "commit", "remove"),
        ("payment_failed", "release", "release"),
        ("cancelled", "release", "remove"),
        ("expired", "release", "remove"),
    ],
)
def test_what_an_order_says_of_its_holds_and_claim(state: str, hold: str, claim: str) -> None:
    order = STATES[state]
    late = at(OVER)
    assert reply_of(decide(order, orders.InquireHold(sku="A", attempt_ms=ATTEMPT), late)).verdict == hold
    assert reply_of(decide(order, orders.InquireClaim(attempt_ms=ATTEMPT), late)).verdict == claim


@pytest.mark.parametrize("state", [None, CONFIRMED])
def test_another_attempt_is_kept_until_it_is_over_for_certain_and_then_released(state: orders.Order | None) -> None:
    hold, claim = orders.InquireHold(sku="A", attempt_ms=OTHER), orders.InquireClaim(attempt_ms=OTHER)
    for question in (hold, claim):
        assert reply_of(decide(state, question, at(OTHER, latest_ms=OTHER + 99))).verdict == "keep"
        assert reply_of(decide(state, question, at(OTHER + 1))).verdict == "release"


def test_a_sku_that_is_not_in_the_order_is_released() -> None:
    assert reply_of(decide(CONFIRMED, orders.InquireHold(sku="Z", attempt_ms=ATTEMPT), at(OVER))).verdict == "release"
