"""What the platform waits for while it runs."""

from serve.platform.signals import stop_signals


def test_a_part_that_cannot_go_on_ends_the_waiting() -> None:
    answers = iter([None, "its node has ended"])
    with stop_signals() as signals:
        assert signals.wait(lambda: next(answers), every_s=0.001) == "its node has ended"
