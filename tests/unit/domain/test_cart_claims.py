"""Each refusal of a cart, and the rules of its claim."""

import pytest

from actors.domain import cart as carts
from actors.domain.decision import Parked, Rejected
from tests.unit.domain.builders import NOW_MS, at, cart_line, code_of, events_of, reply_of

ATTEMPT = NOW_MS + 8_000
EMPTY = carts.Cart(id="guest")
counter = iter(range(1_000_000))


def run(state: carts.Cart, *commands: carts.Command, now_ms: int = NOW_MS) -> carts.Cart:
    """The cart after the commands, none of which may be refused or parked."""
    for command in commands:
        outcome = carts.decide(state, command, at(now_ms, command_id=f"r{next(counter)}"))
        assert not isinstance(reply_of(outcome), Rejected), outcome
        for event in events_of(outcome):
            state = carts.apply(state, event)
    return state


def add(sku: str = "A", quantity: int = 2, available: int = 100, **changes: object) -> carts.AddLine:
    line = cart_line(sku, quantity, **changes)  # type: ignore[arg-type]
    return carts.AddLine(line=line, available=available)


def claim(order: str = "o", attempt_ms: int = ATTEMPT) -> carts.ClaimCart:
    return carts.ClaimCart(order_id=order, attempt_ms=attempt_ms)


def counts(state: carts.Cart) -> dict[str, int]:
    return {line.sku: line.quantity for line in state.lines}


TWO = run(EMPTY, add("A"), add("B"))
CLAIMED = run(TWO, claim())


def test_adding_the_same_sku_adds_units() -> None:
    assert counts(run(TWO, add("A", 3))) == {"A": 5, "B": 2}


@pytest.mark.parametrize(
    ("state", "command", "code"),
    [
        (TWO, add("A", 2, available=3), "insufficient-stock"),
        (TWO, add("A", carts.LINE_QUANTITY_MAX, available=10**6), "too-many-units"),
        (TWO, add("C", 0), "too-many-units"),
        (TWO, add("A", -1), "too-many-units"),
        (run(EMPTY, *(add(f"S{n}") for n in range(carts.LINES_MAX))), add("X"), "too-many-lines"),
        (TWO, carts.SetQuantity(product_id="nope", quantity=1), "item-not-found"),
        (TWO, carts.SetQuantity(product_id="prod-A", sku="B", quantity=1), "item-not-found"),
        (TWO, carts.SetQuantity(product_id="prod-A", quantity=3, available={"A": 2}), "insufficient-stock"),
        (TWO, carts.SetQuantity(product_id="prod-A", quantity=3), "insufficient-stock"),
        (TWO, carts.SetQuantity(product_id="prod-A", quantity=-1), "too-many-units"),
        (
            run(TWO, add("V", product_id="prod-A")),
            carts.SetQuantity(product_id="prod-A", quantity=1),
            "ambiguous-sku",
        ),
        (TWO, carts.ClearCart(expected_version=1), "version-mismatch"),
        (TWO, carts.AddLine(line=cart_line(), available=9, expected_version=3), "version-mismatch"),
        (EMPTY, claim(), "empty-cart"),
        (CLAIMED, claim("p"), "cart-checked-out"),
        (CLAIMED, claim(attempt_ms=ATTEMPT - 1), "attempt-superseded"),
        (run(CLAIMED, carts.RemoveOrdered(order_id="o"), add("C")), claim(), "attempt-closed"),
        (run(CLAIMED, carts.ReleaseClaim(order_id="o", attempt_ms=ATTEMPT)), claim(), "attempt-closed"),
    ],
)
def test_each_refusal(state: carts.Cart, command: carts.Command, code: str) -> None:
    assert code_of(carts.decide(state, command, at(command_id="fresh"))) == code


def test_less_needs_no_stock_and_zero_removes() -> None:
    assert counts(run(TWO, carts.SetQuantity(product_id="prod-A", quantity=1))) == {"A": 1, "B": 2}
    assert counts(run(TWO, carts.SetQuantity(product_id="prod-A", quantity=0))) == {"B": 2}


def test_the_right_version_is_accepted() -> None:
    assert counts(run(TWO, carts.ClearCart(expected_version=2))) == {}


@pytest.mark.parametrize(
    "command",
    [
        add("A"),
        carts.SetQuantity(product_id="prod-A", quantity=2),
        carts.SetQuantity(product_id="prod-A", quantity=0),
        carts.ClearCart(),
        carts.TakeLines(source="g", source_version=1, lines=(cart_line("C"),)),
    ],
)
def test_a_repeat_gets_the_first_answer_whatever_came_between(command: carts.Command) -> None:
    first = carts.decide(TWO, command, at(command_id="k", fingerprint="f"))
    state = TWO
    for event in events_of(first):
        state = carts.apply(state, event)
    state = run(state, add("D"))
    repeat = carts.decide(state, command, at(NOW_MS + 5, command_id="k", fingerprint="f"))
    assert (reply_of(repeat), events_of(repeat)) == (reply_of(first), ())
    assert code_of(carts.decide(state, command, at(command_id="k", fingerprint="g"))) == "idempotency-key-reused"


def test_a_source_is_merged_once_at_a_version() -> None:
    take = carts.TakeLines(source="g", source_version=4, lines=(cart_line("A", 1), cart_line("C", 1)))
    once = run(TWO, take)
    assert counts(once) == {"A": 3, "B": 2, "C": 1}
    assert run(once, take) == once
    assert counts(run(once, carts.TakeLines(source="g", source_version=5, lines=(cart_line("C", 1),))))["C"] == 2


def test_merging_caps_the_units_of_a_line() -> None:
    take = carts.TakeLines(source="g", source_version=1, lines=(cart_line("A", carts.LINE_QUANTITY_MAX),))
    assert counts(run(TWO, take))["A"] == carts.LINE_QUANTITY_MAX


def test_too_many_merged_lines_are_refused() -> None:
    lines = tuple(cart_line(f"S{n}") for n in range(carts.LINES_MAX))
    take = carts.TakeLines(source="g", source_version=1, lines=lines)
    assert code_of(carts.decide(TWO, take, at(command_id="m"))) == "too-many-lines"


def test_a_merged_source_is_cleared_only_at_its_version() -> None:
    assert counts(run(TWO, carts.ClearCart(if_version=1))) == {"A": 2, "B": 2}
    assert counts(run(TWO, carts.ClearCart(if_version=2))) == {}


def test_the_same_order_gets_the_same_lines_again() -> None:
    moved = run(CLAIMED, add("C"))
    again = reply_of(carts.decide(moved, claim(), at()))
    assert again.lines == TWO.lines
    newer = carts.decide(moved, claim(attempt_ms=ATTEMPT + 1), at())
    assert reply_of(newer).lines == TWO.lines
    assert len(events_of(newer)) == 1


def test_what_was_ordered_leaves_and_what_was_added_meanwhile_stays() -> None:
    assert counts(run(CLAIMED, add("A", 1), add("C"), carts.RemoveOrdered(order_id="o"))) == {"A": 1, "C": 2}
    fewer = carts.SetQuantity(product_id="prod-A", quantity=1)
    assert counts(run(CLAIMED, fewer, carts.RemoveOrdered(order_id="o"))) == {}


def test_ordered_lines_leave_only_while_the_claim_is_held() -> None:
    once = run(CLAIMED, carts.RemoveOrdered(order_id="o"), add("A"))
    assert run(once, carts.RemoveOrdered(order_id="o")) == once
    assert run(TWO, carts.RemoveOrdered(order_id="o")) == TWO


def test_a_straggling_claim_does_not_take_what_was_put_in_since() -> None:
    state = run(CLAIMED, carts.RemoveOrdered(order_id="o"), add("C"))
    assert code_of(carts.decide(state, claim(), at(NOW_MS + 9_000))) == "attempt-closed"
    assert reply_of(carts.decide(state, claim("p"), at())).lines == state.lines


def test_a_failed_order_leaves_the_lines_at_their_new_prices() -> None:
    change = carts.Repriced(sku="A", was=500, now=600)
    state = run(CLAIMED, carts.ReleaseClaim(order_id="o", attempt_ms=ATTEMPT, repriced=(change,)))
    assert state.claim is None
    assert [line.unit_price for line in state.lines] == [600, 500]
    assert state.repriced == (change,)
    assert run(state, add("A", 1)).repriced == ()


def test_an_older_attempt_does_not_release_a_newer_claim() -> None:
    assert run(CLAIMED, carts.ReleaseClaim(order_id="o", attempt_ms=ATTEMPT - 1)) == CLAIMED
    assert run(CLAIMED, carts.ReleaseClaim(order_id="p", attempt_ms=ATTEMPT)) == CLAIMED


@pytest.mark.parametrize("command", [carts.GetCart(), claim("p")])
def test_an_old_claim_is_resolved_by_asking_its_order(command: carts.Command) -> None:
    young = NOW_MS + carts.CLAIM_TRUSTED_MS - 1
    assert not isinstance(carts.decide(CLAIMED, command, at(young)), Parked)
    outcome = carts.decide(CLAIMED, command, at(young + 1))
    assert outcome == Parked(carts.AskAboutClaim(order_id="o", attempt_ms=ATTEMPT))


@pytest.mark.parametrize(
    ("verdict", "left", "claimed"),
    [("keep", {"A": 2, "B": 2}, True), ("remove", {}, False), ("release", {"A": 2, "B": 2}, False)],
)
def test_a_claim_does_what_its_order_says(verdict: str, left: dict[str, int], claimed: bool) -> None:
    word = carts.SettleClaim(order_id="o", attempt_ms=ATTEMPT, verdict=verdict)  # type: ignore[arg-type]
    state = run(CLAIMED, word, now_ms=NOW_MS + 20_000)
    assert counts(state) == left
    assert (state.claim is not None) == claimed
    assert run(CLAIMED, carts.SettleClaim(order_id="o", attempt_ms=ATTEMPT + 1, verdict="remove")) == CLAIMED


def test_a_claim_that_is_kept_is_trusted_for_another_while() -> None:
    word = carts.SettleClaim(order_id="o", attempt_ms=ATTEMPT, verdict="keep")
    state = run(CLAIMED, word, now_ms=NOW_MS + 20_000)
    assert not isinstance(carts.decide(state, carts.GetCart(), at(NOW_MS + 29_999)), Parked)


def test_an_idle_cart_expires_and_a_claimed_one_is_asked_about_first() -> None:
    assert run(TWO, carts.ExpireCart(), now_ms=NOW_MS + carts.IDLE_TTL_MS - 1) == TWO
    assert counts(run(TWO, carts.ExpireCart(), now_ms=NOW_MS + carts.IDLE_TTL_MS)) == {}
    outcome = carts.decide(CLAIMED, carts.ExpireCart(), at(NOW_MS + carts.IDLE_TTL_MS))
    assert isinstance(outcome, Parked)


def test_answers_do_not_show_what_the_cart_remembers() -> None:
    cart = reply_of(carts.decide(run(CLAIMED, carts.RemoveOrdered(order_id="o")), carts.GetCart(), at())).cart
    assert (cart.recent, cart.merges, cart.closed) == ((), (), ())


def test_a_large_cart_that_is_changed_very_fast_stays_small_enough_to_be_stored() -> None:
    state = run(EMPTY, *(add(f"S{n}") for n in range(carts.LINES_MAX)))
    changes, now_ms = 0, NOW_MS
    while True:
        outcome = carts.decide(state, add("S1", 1, available=10**6), at(now_ms, command_id=f"fast{changes}"))
        if isinstance(reply_of(outcome), Rejected):
            break
        for event in events_of(outcome):
            state = carts.apply(state, event)
        changes += 1
        assert changes < 1_000
    assert code_of(outcome) == "try-again"
    assert sum(len(known.reply) for known in state.recent) < 2 * carts.REMEMBERED_BYTES_MAX
    later_ms = state.recent[-1].until_ms + 1
    assert counts(run(state, add("S1", 1, available=10**6), now_ms=later_ms))["S1"] == 2 + changes + 1
