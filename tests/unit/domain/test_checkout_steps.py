"""The saga step by step: three commits, what is undone on each refusal, and what a run remembers."""

from typing import Any

import msgspec
import pytest

from actors.domain import cart as carts
from actors.domain import checkout, inventory, order_rules
from actors.domain import order as orders
from actors.domain.decision import Rejected
from actors.domain.steps import (
    Ask,
    AskAll,
    Charge,
    ChargeResult,
    CloseCharge,
    Decide,
    Failed,
    Finished,
    RefundResult,
    Together,
    Wait,
)
from tests.unit.domain.builders import NOW_MS, at, cart_line, create, place
from tests.unit.domain.checkout_world import Delivery, World
from tests.unit.domain.gateway_model import prices_of

ATTEMPT = NOW_MS + 8_000
ORDER = ("order", "ord_1")


def placed(world: World, request: orders.PlaceOrder) -> Delivery:
    """The request, taken to its answer without any fault."""
    delivery = world.send(ORDER, Delivery(request, "place", ATTEMPT, "f"))
    while delivery.reply is None:
        world.advance(ORDER)
    return delivery


def commits_before_reply(world: World, request: orders.PlaceOrder) -> int:
    """Rounds of the saga that made something durable before the answer: parallel ones count once."""
    delivery = world.send(ORDER, Delivery(request, "place", ATTEMPT, "f"))
    run = world.runs[ORDER]
    rounds: set[int] = set()
    while delivery.reply is None:
        events = len(world.events)
        world.advance(ORDER)
        if len(world.events) > events:
            rounds.add(run.steps)
    return len(rounds)


def test_a_confirmed_order_takes_three_sequential_commits() -> None:
    assert commits_before_reply(World({"A": 5, "B": 5}), place(("A", 1), ("B", 2))) == 3


def test_an_order_of_a_cart_takes_the_claim_besides() -> None:
    world = World({"A": 5})
    world.send(("cart", "guest"), Delivery(carts.AddLine(line=cart_line("A", 2), available=9), "add", ATTEMPT))
    assert commits_before_reply(world, place(cart_id="guest")) == 4


def test_after_the_answer_the_stock_is_sold_and_the_cart_is_empty() -> None:
    world = World({"A": 5})
    world.send(("cart", "guest"), Delivery(carts.AddLine(line=cart_line("A", 2), available=9), "add", ATTEMPT))
    placed(world, place(cart_id="guest"))
    while world.runs:
        world.advance(ORDER)
    assert (world.state(("sku", "A")).sold, world.state(("sku", "A")).holds) == (2, inventory.Map())
    assert (world.state(("cart", "guest")).lines, world.state(("cart", "guest")).claim) == ((), None)
    assert world.state(("payment", "ord_1")).captured == 1_000


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (place(("A", 6)), "insufficient-stock"),
        (place(("A", 1), ("B", 6)), "insufficient-stock"),
        (place(("A", 1), ("Z", 1)), "unknown-sku"),
        (place(("A", 1), expected_total=499), "price-changed"),
        (place(cart_id="guest", expected_total=1), "price-changed"),
        (place(cart_id="nobody"), "empty-cart"),
        (place(("A", 10**12)), "amount-too-large"),
    ],
)
def test_a_refusal_leaves_nothing_behind(request_: orders.PlaceOrder, code: str) -> None:
    world = World({"A": 5, "B": 5})
    world.send(("cart", "guest"), Delivery(carts.AddLine(line=cart_line("A", 2), available=9), "add", ATTEMPT))
    refusal = placed(world, request_).reply
    assert isinstance(refusal, Rejected)
    assert refusal.code == code
    assert world.state(ORDER) is None
    assert all(not world.state(key).holds for key in world.of("sku"))
    assert world.state(("cart", "guest")).claim is None
    assert world.gateway.charges == {}
    assert ORDER not in world.runs


def test_a_changed_price_is_refused_with_the_new_total_and_shown_in_the_cart() -> None:
    world = World({"A": 5})
    stale = carts.AddLine(line=cart_line("A", 2, price=400), available=9)
    world.send(("cart", "guest"), Delivery(stale, "add", ATTEMPT))
    refusal = placed(world, place(cart_id="guest")).reply
    assert (refusal.code, refusal.data["total_minor"], refusal.data["skus"]) == ("price-changed", 1_000, ["A"])
    cart = world.state(("cart", "guest"))
    assert cart.repriced == (carts.Repriced(sku="A", was=400, now=500),)
    assert [line.unit_price for line in cart.lines] == [500]


def test_a_decline_gives_back_before_it_is_journaled() -> None:
    world = World({"A": 5})
    declined = orders.PaymentMethod(type="card", token="tok_declined")
    placed(world, place(("A", 1), payment_method=declined))
    kinds = [type(event).__name__ for _, event in world.events]
    assert kinds.index("StockReleased") < kinds.index("OrderPaymentFailed")
    assert world.state(("payment", "ord_1")).status == "failed"


def test_a_sku_named_twice_is_wanted_twice() -> None:
    world = World({"A": 5})
    placed(world, place(("A", 1), ("A", 2)))
    assert [line.quantity for line in world.state(ORDER).lines] == [3]


# --- single steps --------------------------------------------------------------------------------

PAYING = order_rules.apply(None, order_rules.decide(None, create(cart_id="guest"), at()).events[0])  # type: ignore[arg-type]
UNPAID = order_rules.apply(None, order_rules.decide(None, create(pay=False, cart_id="g"), at()).events[0])  # type: ignore[arg-type]


def after(state: orders.Order, command: Any) -> orders.Order:
    for event in order_rules.decide(state, command, at(command_id=type(command).__name__)).events:
        state = order_rules.apply(state, event)
    return state


def settle(state: orders.Order, status: Any) -> orders.Order:
    return after(state, orders.SettlePayment(n=1, status=status, reference="r", last4="1", reason="no"))


UNKNOWN = settle(PAYING, "unknown")
CAPTURED = ChargeResult(status="captured", reference="r", last4="4242")
WOKEN = checkout.begin("ord_1", UNKNOWN, checkout.Woken(), at())


def test_a_woken_order_asks_the_gateway_with_the_same_key_and_writes_down_its_word() -> None:
    step = checkout.next_step(UNKNOWN, WOKEN, at())
    assert isinstance(step, Charge)
    assert step.key == "ord_1:capture:1"
    progress = checkout.record(WOKEN, step, CAPTURED)
    settled = checkout.next_step(UNKNOWN, progress, at())
    assert isinstance(settled, Together)
    assert settled.steps[0] == Decide(
        orders.SettlePayment(n=1, status="captured", reference="r", last4="4242"),
    )


def test_a_woken_order_that_hears_nothing_waits_for_its_next_turn() -> None:
    step = checkout.next_step(UNKNOWN, WOKEN, at())
    progress = checkout.record(WOKEN, step, Failed(code="timeout"))
    unknown = checkout.next_step(UNKNOWN, progress, at())
    assert isinstance(unknown, Together)
    progress = checkout.record(progress, unknown, (None, None))
    assert checkout.next_step(settle(UNKNOWN, "unknown"), progress, at()) == Finished()


def test_a_cancel_that_comes_while_the_payment_is_unknown_asks_at_once() -> None:
    progress = checkout.record(
        checkout.resume("ord_1", PAYING),
        Together((Decide(orders.SettlePayment(n=1, status="unknown")),)),
        (None,),
    )
    step = checkout.next_step(after(UNKNOWN, orders.CancelOrder()), progress, at())
    assert isinstance(step, CloseCharge)


def test_an_order_that_is_paid_while_its_cart_hears_of_it_still_sells_its_stock() -> None:
    progress = checkout.resume("ord_1", UNPAID)
    step = checkout.next_step(UNPAID, progress, at())
    assert isinstance(step, AskAll)
    progress = checkout.record(progress, step, (carts.CartDone(),))
    paying = after(UNPAID, orders.PayOrder(amount=1_000, currency="USD", method=create().request.payment_method))  # type: ignore[arg-type]
    sold = checkout.next_step(settle(paying, "captured"), progress, at())
    assert isinstance(sold, AskAll)
    assert any(isinstance(ask.command, inventory.CommitStock) for ask in sold.asks)


def test_a_decision_that_failed_is_taken_again_after_a_pause() -> None:
    progress = checkout.Progress(order_id="ord_1", charge=CAPTURED)
    step = checkout.next_step(PAYING, progress, at())
    assert isinstance(step, Together)
    progress = checkout.record(progress, step, (Failed(code="overloaded", may_have_run=False), None))
    pause = checkout.next_step(PAYING, progress, at())
    assert pause == Wait(delay_ms=400)
    assert isinstance(checkout.next_step(PAYING, checkout.record(progress, pause, None), at()), Together)


def test_pauses_double_up_to_a_minute() -> None:
    progress = checkout.Progress(order_id="ord_1", rest=True, rounds=30)
    assert checkout.next_step(PAYING, progress, at()) == Wait(delay_ms=60_000)


def reserving(*skus: str) -> AskAll:
    """The step that reserves these SKUs."""
    progress = checkout.Progress(order_id="ord_1", request=place(*((sku, 1) for sku in skus)))
    step = checkout.next_step(None, msgspec.structs.replace(progress, prices=prices_of(skus)), at())
    assert isinstance(step, AskAll)
    return step


def test_an_attempt_that_ended_untold_is_not_begun_again_by_itself() -> None:
    """Its holders know it as closed: beginning it once more would come to that at once, in a loop."""
    progress = checkout.begin("ord_1", None, place(("A", 1)), at(not_after_ms=ATTEMPT))
    progress = checkout.record(progress, reserving("A"), (Rejected("attempt-closed"),))
    assert checkout.next_step(None, progress, at()) == Finished(reply=checkout.TRY_AGAIN, retry=False)
    over = msgspec.structs.replace(progress, refusal=Rejected("attempt-over"))
    assert checkout.next_step(None, over, at()) == Finished(reply=Rejected("attempt-over"), retry=True)


def test_a_real_refusal_is_told_and_only_who_may_hold_something_is_released() -> None:
    progress = checkout.begin("ord_1", None, place(("A", 1), ("B", 1), ("C", 1)), at())
    sold_out = Rejected("insufficient-stock")
    answers = (Rejected("attempt-closed"), Failed(code="timeout"), sold_out)
    progress = checkout.record(progress, reserving("A", "B", "C"), answers)
    assert progress.refusal == sold_out
    step = checkout.next_step(None, progress, at())
    assert isinstance(step, AskAll)
    assert [ask.entity_id for ask in step.asks] == ["B"]


@pytest.mark.parametrize("code", checkout.ATTEMPT_OVER)
def test_a_claim_of_an_attempt_that_is_over_is_to_be_repeated(code: str) -> None:
    ask = Ask(
        entity_type="cart",
        entity_id="g",
        command=carts.ClaimCart(order_id="ord_1", attempt_ms=ATTEMPT),
        command_id="",
    )
    progress = checkout.Progress(order_id="ord_1")
    assert checkout.record(progress, ask, Rejected(code)).refusal == checkout.TRY_AGAIN


def test_a_placement_that_comes_while_one_runs_shares_it_only_if_it_is_the_same() -> None:
    progress = checkout.begin("ord_1", None, place(("A", 1)), at())
    assert checkout.joins(progress, place(("A", 1))) is None
    refusal = checkout.joins(progress, place(("A", 2)))
    assert refusal is not None
    assert refusal.code == "idempotency-key-reused"


def test_a_cancelled_failure_is_recorded_with_the_payment() -> None:
    state = settle(after(PAYING, orders.CancelOrder()), "closed")
    step = checkout.next_step(state, checkout.resume("ord_1", state), at())
    assert isinstance(step, AskAll)
    assert "RecordFailure" in [type(ask.command).__name__ for ask in step.asks]


def test_an_expired_order_s_cart_is_told_one_thing() -> None:
    expired = order_rules.apply(UNPAID, orders.OrderExpired(at_ms=NOW_MS))
    step = checkout.next_step(expired, checkout.resume("ord_1", expired), at())
    assert isinstance(step, AskAll)
    assert [type(ask.command).__name__ for ask in step.asks] == ["ReleaseStock", "RemoveOrdered"]
    assert checkout.unsettled(expired)
    assert not checkout.in_flight(expired)


def test_a_refund_records_the_capture_first_in_case_a_crash_left_it_out() -> None:
    state = after(settle(PAYING, "captured"), orders.RefundOrder(amount=1))
    progress = checkout.resume("ord_1", state)
    said = []
    for result in (RefundResult(reference="r"), (None,), (None,)):
        step = checkout.next_step(state, progress, at())
        said += [type(ask.command).__name__ for ask in getattr(step, "asks", ())]
        progress = checkout.record(progress, step, result)
    assert said == ["RecordCapture", "RecordRefund"]
    assert checkout.next_step(state, progress, at()) == Decide(orders.CompleteRefund(n=1))
