"""Each row of the table in `inventory`, and each refusal."""

import pytest

from actors.domain import inventory as stock
from actors.domain.attempts import attempt_of
from actors.domain.decision import Rejected
from tests.unit.domain.builders import NOW_MS, at, code_of, events_of, reply_of

ATTEMPT = NOW_MS + 8_000
counter = iter(range(1_000_000))


def run(state: stock.Sku, *commands: stock.Command, now_ms: int = NOW_MS) -> stock.Sku:
    """The state after the commands, none of which may be refused."""
    for command in commands:
        decision = stock.decide(state, command, at(now_ms, command_id=f"s{next(counter)}"))
        assert not isinstance(decision.reply, Rejected), decision.reply
        for event in decision.events:
            state = stock.apply(state, event)
    return state


def reserve(order: str = "o", quantity: int = 3, attempt_ms: int = ATTEMPT) -> stock.ReserveStock:
    return stock.ReserveStock(order_id=order, quantity=quantity, attempt_ms=attempt_ms)


RELEASE = stock.ReleaseStock(order_id="o", attempt_ms=ATTEMPT)
COMMIT = stock.CommitStock(order_id="o", attempt_ms=ATTEMPT)
RETURN = stock.ReturnStock(order_id="o", quantity=3)
TEN = run(stock.Sku(sku="A"), stock.AdjustStock(delta=10, reason="received"))
HELD = run(TEN, reserve())
SOLD = run(HELD, COMMIT)


def levels(state: stock.Sku) -> tuple[int, int, int]:
    return state.on_hand, state.reserved, state.sold


def names(decision: object) -> list[str]:
    return [type(event).__name__ for event in events_of(decision)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "command", "after"),
    [
        (TEN, reserve(), (10, 3, 0)),
        (TEN, RELEASE, (10, 0, 0)),
        (TEN, COMMIT, (10, 0, 0)),
        (SOLD, RETURN, (10, 0, 3)),
        (HELD, reserve(), (10, 3, 0)),
        (HELD, reserve(quantity=5, attempt_ms=ATTEMPT + 1), (10, 5, 0)),
        (HELD, reserve(quantity=1, attempt_ms=ATTEMPT + 1), (10, 1, 0)),
        (HELD, RELEASE, (10, 0, 0)),
        (HELD, COMMIT, (7, 0, 3)),
        (HELD, RETURN, (10, 0, 0)),
        (HELD, stock.AdjustStock(delta=-7, reason="lost"), (3, 3, 0)),
    ],
)
def test_the_table_of_stock_holds(state: stock.Sku, command: stock.Command, after: tuple[int, int, int]) -> None:
    assert levels(run(state, command)) == after


@pytest.mark.parametrize("command", [reserve(attempt_ms=ATTEMPT - 1), reserve(quantity=4)])
def test_an_older_attempt_or_another_quantity_of_the_same_is_superseded(command: stock.ReserveStock) -> None:
    assert code_of(stock.decide(HELD, command, at())) == "attempt-superseded"


@pytest.mark.parametrize("command_type", [stock.ReleaseStock, stock.CommitStock])
def test_an_older_attempt_does_not_close_a_newer_hold(command_type: type) -> None:
    decision = stock.decide(HELD, command_type(order_id="o", attempt_ms=ATTEMPT - 1), at())
    assert decision.events == ()
    assert decision.reply == stock.StockDone()


def test_a_duplicate_reserve_after_the_commit_sells_nothing() -> None:
    assert code_of(stock.decide(SOLD, reserve(), at(NOW_MS + 100))) == "attempt-closed"


def test_a_closed_attempt_is_remembered_longer_than_a_command_lives() -> None:
    state = SOLD
    for second in range(11):  # a busy SKU: the generations turn as fast as they can
        state = run(state, reserve("x", 1, ATTEMPT + second), now_ms=NOW_MS + second * 1_000)
        state = run(
            state, stock.ReleaseStock(order_id="x", attempt_ms=ATTEMPT + second), now_ms=NOW_MS + second * 1_000
        )
    assert code_of(stock.decide(state, reserve(), at(NOW_MS + 10_000))) == "attempt-closed"


def test_closed_attempts_are_forgotten_in_the_end() -> None:
    state = SOLD
    for turn in (1, 2):
        now_ms = NOW_MS + turn * (stock.CLOSED_GENERATION_MS + 1)
        state = run(state, reserve("x", 1, now_ms), stock.ReleaseStock(order_id="x", attempt_ms=now_ms), now_ms=now_ms)
    assert stock.closed_attempt(state, "o:A") == 0


def test_a_release_that_comes_before_its_reserve_closes_the_attempt() -> None:
    assert names(stock.decide(TEN, RELEASE, at())) == ["AttemptClosed"]
    state = run(TEN, RELEASE)
    assert stock.decide(state, RELEASE, at(command_id="again")).events == ()
    assert code_of(stock.decide(state, reserve(), at())) == "attempt-closed"
    assert levels(run(state, reserve(attempt_ms=ATTEMPT + 1))) == (10, 3, 0)


def test_a_release_of_nothing_is_not_journaled_once_its_attempt_is_over() -> None:
    assert stock.decide(TEN, RELEASE, at(ATTEMPT)).events != ()
    assert stock.decide(TEN, RELEASE, at(ATTEMPT + 1)).events == ()


def test_a_release_of_nothing_by_a_later_owner_is_not_journaled_either() -> None:
    release = stock.ReleaseStock(order_id="o", attempt_ms=attempt_of(ATTEMPT, 7))
    assert stock.decide(TEN, release, at(ATTEMPT)).events != ()
    assert stock.decide(TEN, release, at(ATTEMPT + 1)).events == ()


def test_a_release_closes_every_attempt_up_to_its_own() -> None:
    state = run(HELD, stock.ReleaseStock(order_id="o", attempt_ms=ATTEMPT + 5))
    assert code_of(stock.decide(state, reserve(attempt_ms=ATTEMPT + 5), at())) == "attempt-closed"


def test_a_newer_attempt_reserves_again_after_a_release() -> None:
    assert levels(run(HELD, RELEASE, reserve(attempt_ms=ATTEMPT + 1))) == (10, 3, 0)


def test_no_more_is_reserved_than_is_available() -> None:
    decision = stock.decide(HELD, reserve("p", 8), at())
    assert code_of(decision) == "insufficient-stock"
    assert reply_of(decision).data == {"sku": "A", "available": 7, "wanted": 8}


def test_a_newer_attempt_may_use_what_the_older_one_holds() -> None:
    assert levels(run(HELD, reserve(quantity=10, attempt_ms=ATTEMPT + 1))) == (10, 10, 0)


def test_a_newer_attempt_that_is_refused_gives_up_what_the_older_one_held() -> None:
    decision = stock.decide(HELD, reserve(quantity=11, attempt_ms=ATTEMPT + 1), at())
    assert reply_of(decision).code == "insufficient-stock"
    assert names(decision) == ["StockReleased"]
    assert levels(stock.apply(HELD, decision.events[0])) == (10, 0, 0)


@pytest.mark.parametrize("quantity", [0, -1, stock.QUANTITY_MAX + 1])
def test_a_quantity_is_positive_and_bounded(quantity: int) -> None:
    assert code_of(stock.decide(TEN, reserve(quantity=quantity), at())) == "too-many-units"
    external = stock.HoldExternally(order_id="x", quantity=quantity, ttl_ms=1_000)
    assert code_of(stock.decide(TEN, external, at())) == "too-many-units"


def test_the_last_unit_depletes_and_its_release_replenishes() -> None:
    taken = stock.decide(TEN, reserve(quantity=10), at())
    assert names(taken) == ["StockReserved", "StockDepleted"]
    state = run(TEN, reserve(quantity=10))
    assert names(stock.decide(state, RELEASE, at())) == ["StockReleased", "StockReplenished"]
    assert names(stock.decide(state, COMMIT, at())) == ["StockCommitted"]


def test_a_return_acts_once() -> None:
    again = stock.ReturnStock(order_id="o", quantity=3, already_returned=True)
    decision = stock.decide(run(SOLD, RETURN), again, at())
    assert decision.events == ()
    assert decision.replayed


def test_a_return_of_a_hold_says_that_it_stands_for_it() -> None:
    (event,) = stock.decide(HELD, RETURN, at()).events
    assert isinstance(event, stock.StockReleased)
    assert event.returns


def test_adjusting_never_goes_below_what_is_reserved_nor_above_the_limit() -> None:
    assert code_of(stock.decide(HELD, stock.AdjustStock(delta=-8, reason="x"), at())) == "below-reserved"
    assert code_of(stock.decide(TEN, stock.AdjustStock(delta=-11, reason="x"), at())) == "below-reserved"
    big = stock.AdjustStock(delta=stock.ON_HAND_MAX, reason="x")
    assert code_of(stock.decide(TEN, big, at())) == "too-many-units"


@pytest.mark.parametrize(
    "command",
    [stock.AdjustStock(delta=5, reason="x"), stock.HoldExternally(order_id="x", quantity=2, ttl_ms=60_000)],
)
def test_a_repeat_gets_the_first_answer_and_another_request_is_refused(command: stock.Command) -> None:
    first = stock.decide(TEN, command, at(fingerprint="f"))
    state = TEN
    for event in first.events:
        state = stock.apply(state, event)
    repeat = stock.decide(run(state, reserve()), command, at(NOW_MS + 1, fingerprint="f"))
    assert (repeat.reply, repeat.events, repeat.replayed) == (first.reply, (), True)
    other = stock.decide(state, command, at(NOW_MS + 1, fingerprint="g"))
    assert code_of(other) == "idempotency-key-reused"


@pytest.mark.parametrize("delta", [4, -10])
def test_the_answer_of_an_adjustment_has_the_version_that_the_sku_then_has(delta: int) -> None:
    start = TEN if delta < 0 else stock.Sku(sku="A")
    decision = stock.decide(start, stock.AdjustStock(delta=delta, reason="x"), at())
    assert len(decision.events) == 2, "a threshold is crossed"
    after = start
    for event in decision.events:
        after = stock.apply(after, event)
    assert reply_of(decision).version == after.version
    assert reply_of(decision) == reply_of(stock.decide(after, stock.GetStock(), at()))


def test_an_order_s_reservation_is_not_released_through_the_api() -> None:
    assert code_of(stock.decide(HELD, stock.ReleaseExternal(reservation_id="o:A"), at())) == "held-by-order"
    assert code_of(stock.decide(TEN, stock.ReleaseExternal(reservation_id="o:A"), at())) == "reservation-not-found"


def test_an_external_hold_is_released_once_and_then_a_repeat() -> None:
    state = run(TEN, stock.HoldExternally(order_id="x", quantity=2, ttl_ms=60_000))
    (id_,) = state.holds
    release = stock.ReleaseExternal(reservation_id=id_)
    state = run(state, release)
    assert levels(state) == (10, 0, 0)
    assert stock.decide(state, release, at()).replayed


def test_orders_cannot_touch_external_holds_and_verdicts_neither() -> None:
    state = run(TEN, stock.HoldExternally(order_id="x", quantity=2, ttl_ms=60_000))
    (hold,) = state.holds.values()
    word = stock.HoldVerdict(reservation_id=hold.id, attempt_ms=hold.attempt_ms, verdict="commit")
    assert stock.decide(state, stock.SettleHolds(verdicts=(word,)), at()).events == ()


@pytest.mark.parametrize(("verdict", "after"), [("keep", (10, 3, 0)), ("release", (10, 0, 0)), ("commit", (7, 0, 3))])
def test_a_hold_does_what_its_order_says(verdict: stock.Verdict, after: tuple[int, int, int]) -> None:
    word = stock.HoldVerdict(reservation_id="o:A", attempt_ms=ATTEMPT, verdict=verdict)
    assert levels(run(HELD, stock.SettleHolds(verdicts=(word, word)))) == after


def test_a_word_about_another_attempt_is_not_for_this_hold() -> None:
    word = stock.HoldVerdict(reservation_id="o:A", attempt_ms=ATTEMPT - 1, verdict="release")
    assert stock.decide(HELD, stock.SettleHolds(verdicts=(word,)), at()).events == ()


def test_an_external_hold_expires_at_its_time_and_not_before() -> None:
    state = run(TEN, stock.HoldExternally(order_id="x", quantity=2, ttl_ms=5_000))
    settle = stock.SettleHolds(verdicts=(), expired=tuple(state.holds))
    assert stock.decide(state, settle, at(NOW_MS + 4_999)).events == ()
    assert names(stock.decide(state, settle, at(NOW_MS + 5_000))) == ["ReservationExpired"]


def test_an_order_is_asked_after_ten_seconds_then_at_expiry_then_every_minute() -> None:
    due: list[int] = []
    since = NOW_MS
    for _ in range(4):
        next_ = stock.next_due(HELD, since)
        assert next_ is not None
        assert [hold.id for hold in stock.holds_due(HELD, since, next_)] == ["o:A"]
        since = next_
        due.append(next_ - NOW_MS)
    assert due == [10_000, 900_000, 960_000, 1_020_000]


def test_an_external_hold_is_due_at_its_expiry_then_every_second() -> None:
    state = run(TEN, stock.HoldExternally(order_id="x", quantity=2, ttl_ms=5_000))
    assert stock.next_due(state, NOW_MS) == NOW_MS + 5_000
    assert stock.next_due(state, NOW_MS + 5_000) == NOW_MS + 6_000


def test_only_a_new_hold_brings_the_due_time_forward() -> None:
    (event,) = stock.decide(TEN, reserve(), at()).events
    assert stock.due_after(HELD, event, None) == NOW_MS + 10_000
    assert stock.due_after(HELD, event, NOW_MS + 5) == NOW_MS + 5
    (released,) = stock.decide(HELD, RELEASE, at()).events
    assert stock.due_after(TEN, released, NOW_MS + 7) == NOW_MS + 7


def test_stock_out_of_balance_is_never_applied() -> None:
    event = stock.StockReturned(order_id="o", quantity=-11, at_ms=NOW_MS)
    with pytest.raises(AssertionError, match="out of balance"):
        stock.apply(TEN, event)


def test_a_sku_with_very_many_holds_looks_at_them_all_only_so_often() -> None:
    count = 60 * stock.HOLDS_A_WAKE_MS
    state = run(stock.Sku(sku="A"), stock.AdjustStock(delta=count, reason="received"))
    for n in range(count):  # one falls due each ms
        state = run(state, reserve(f"o{n}", 1, ATTEMPT + n), now_ms=NOW_MS + n)
    since_ms = NOW_MS + stock.FIRST_CHECK_AFTER_MS
    next_ms = stock.next_due(state, since_ms)
    assert next_ms == since_ms + 60
    assert len(list(stock.holds_due(state, since_ms, next_ms))) == 60, "those that fell due meanwhile are not forgotten"
