"""The order of starting and stopping, whatever fails."""

import pytest

from serve.platform.run import Run, Step
from serve.platform.signals import Interrupted


class Recorder:
    """Steps and a report that write down what happened."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def step(self, name: str, *, start: BaseException | None = None, stop: BaseException | None = None) -> Step:
        def act(what: str, fault: BaseException | None) -> None:
            self.log.append(f"{what} {name}")
            if fault is not None:
                raise fault

        return Step(name=name, start=lambda: act("start", start), stop=lambda: act("stop", stop))

    def begins(self, step: str) -> None:
        self.log.append(f"begins {step}")

    def note(self, text: str) -> None:
        self.log.append(text)

    def ends(self, step: str, took_ms: int) -> None:
        assert took_ms >= 0
        self.log.append(f"ends {step}")

    def ready(self) -> None:
        self.log.append("ready")

    def failed(self, message: str) -> None:
        self.log.append(message)


def test_starts_in_order_and_stops_in_reverse() -> None:
    seen = Recorder()
    run = Run([seen.step("a"), seen.step("b")], seen)
    run.start()
    assert run.stop()
    assert seen.log == ["begins a", "start a", "ends a", "begins b", "start b", "ends b", "stop b", "stop a"]


@pytest.mark.parametrize("fault", [ValueError("no"), Interrupted()])
def test_a_start_that_fails_stops_what_was_begun_and_nothing_else(fault: BaseException) -> None:
    seen = Recorder()
    run = Run([seen.step("a"), seen.step("b", start=fault), seen.step("c")], seen)
    with pytest.raises(type(fault)):
        run.start()
    assert run.stop()
    assert [line for line in seen.log if line.startswith("st")] == ["start a", "start b", "stop b", "stop a"]
    assert "ends b" not in seen.log


@pytest.mark.parametrize("fault", [ValueError("no"), Interrupted()])
def test_a_stop_that_fails_keeps_no_other_from_stopping(fault: BaseException) -> None:
    seen = Recorder()
    run = Run([seen.step("a"), seen.step("b", stop=fault), seen.step("c")], seen)
    run.start()
    assert not run.stop()
    assert seen.log[-3:] == ["stop c", "stop b", "stop a"]


def test_stops_each_part_once() -> None:
    seen = Recorder()
    run = Run([seen.step("a")], seen)
    run.start()
    run.stop()
    assert run.stop()
    assert seen.log.count("stop a") == 1
