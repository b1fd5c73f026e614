"""What a SKU does about holds whose check is due: it asks, believes, and asks the silent ones again soon."""

from typing import Any

from actors.domain import inquiries
from actors.domain import inventory as stock
from actors.domain.order import HoldWord
from actors.domain.steps import AskAll, Decide, Failed, Finished, Step, Wait
from tests.unit.domain.builders import NOW_MS, at

ATTEMPT = NOW_MS + 8_000
SILENCE = Failed(code="timeout")


def held(count: int) -> stock.Sku:
    """A SKU with so many holds, all of them reserved now."""
    state = stock.Sku(sku="A")
    commands: list[Any] = [stock.AdjustStock(delta=count, reason="received")]
    commands += [stock.ReserveStock(order_id=f"o{n}", quantity=1, attempt_ms=ATTEMPT) for n in range(count)]
    for number, command in enumerate(commands):
        for event in stock.decide(state, command, at(command_id=f"c{number}")).events:
            state = stock.apply(state, event)
    return state


class Run:
    """A saga whose questions the test answers."""

    def __init__(self, count: int) -> None:
        self.state = held(count)
        self.context = at(NOW_MS + stock.FIRST_CHECK_AFTER_MS)
        due = inquiries.wake_sku(self.state, 0, self.context)
        assert due is not None
        self.progress = due
        self.waited_ms = 0

    def step(self) -> Step:
        return inquiries.next_step_sku(self.state, self.progress, self.context)

    def record(self, result: Any) -> None:
        self.progress = inquiries.record_sku(self.progress, self.step(), result)

    def questions(self) -> tuple[str, ...]:
        step = self.step()
        assert isinstance(step, AskAll), step
        return tuple(ask.entity_id for ask in step.asks)

    def to_the_end(self, answer: Any) -> tuple[list[int], int]:
        """(verdicts of each decision, questions asked) until the run is over; every question gets this answer."""
        decided: list[int] = []
        asked = 0
        while not isinstance(step := self.step(), Finished):
            match step:
                case AskAll(asks=asks):
                    asked += len(asks)
                    self.record(tuple(answer for _ in asks))
                case Decide(command=stock.SettleHolds() as settle):
                    decided.append(len(settle.verdicts))
                    self.record(stock.StockDone())
                case Wait(delay_ms=delay_ms):
                    self.waited_ms += delay_ms
                    self.record(None)
        return decided, asked


def test_a_silent_order_is_asked_again_soon_and_believed_then() -> None:
    run = Run(2)
    first, second = run.questions()
    run.record((HoldWord(verdict="release"), SILENCE))
    settle = run.step()  # what was answered waits for nobody
    assert isinstance(settle, Decide)
    assert [word.reservation_id for word in settle.command.verdicts] == [f"{first}:A"]
    run.record(stock.StockDone())
    assert run.step() == Wait(delay_ms=inquiries.ASK_AGAIN_FIRST_MS)
    run.record(None)
    assert run.questions() == (second,)
    run.record((HoldWord(verdict="release"),))
    settle = run.step()
    assert isinstance(settle, Decide)
    assert [word.reservation_id for word in settle.command.verdicts] == [f"{second}:A"]
    run.record(stock.StockDone())
    assert isinstance(run.step(), Finished)


def test_who_stays_silent_is_asked_for_a_minute_ever_more_patiently() -> None:
    run = Run(1)
    decided, asked = run.to_the_end(SILENCE)
    assert decided == []
    assert asked == 1 + inquiries.ROUNDS_MAX
    assert 55_000 <= run.waited_ms <= 75_000


def test_whoever_is_to_be_kept_costs_no_decision() -> None:
    assert Run(3).to_the_end(HoldWord(verdict="keep")) == ([], 3)


def test_many_verdicts_are_decided_in_bounded_portions() -> None:
    count = 3 * inquiries.SETTLED_AT_ONCE_MAX + 7
    decided, asked = Run(count).to_the_end(HoldWord(verdict="commit"))
    assert sum(decided) == asked == count
    assert max(decided) <= inquiries.SETTLED_AT_ONCE_MAX


def test_expired_holds_of_the_api_are_settled_without_a_question() -> None:
    state = stock.Sku(sku="A")
    commands: list[stock.Command] = [
        stock.AdjustStock(delta=5, reason="received"),
        stock.HoldExternally(order_id="x", quantity=2, ttl_ms=900_000),
    ]
    for number, command in enumerate(commands):
        for event in stock.decide(state, command, at(command_id=f"c{number}")).events:
            state = stock.apply(state, event)
    context = at(NOW_MS + 900_000)
    progress = inquiries.wake_sku(state, 0, context)
    assert progress is not None
    step = inquiries.next_step_sku(state, progress, context)
    assert step == Decide(stock.SettleHolds(verdicts=(), expired=("ext:c1",)))
    progress = inquiries.record_sku(progress, step, stock.StockDone())
    assert isinstance(inquiries.next_step_sku(state, progress, context), Finished)
