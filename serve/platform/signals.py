"""Ctrl-C and SIGTERM: once to stop in order, and three times to stop at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_FORCED_AT = 3
_WATCH_EVERY_S = 1.0


class Interrupted(KeyboardInterrupt):
    """The user or the system wants the platform to stop."""


class StopSignals:
    """What came so far.

    The first signal interrupts the main thread wherever it is, the second leaves it in peace while it stops, and
    from the third on each gives up the part being stopped.
    """

    def __init__(self) -> None:
        self.received = 0
        self._came = threading.Event()

    def wait(self, fault: Callable[[], str | None], *, every_s: float = _WATCH_EVERY_S) -> str:
        """Wait for the first signal, which raises `Interrupted`, or for a fault, which is returned."""
        while not self._came.wait(every_s):  # the handler raises out of the wait
            why = fault()
            if why is not None:
                return why
        raise Interrupted

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Handle one signal, in the main thread."""
        self.received += 1
        self._came.set()
        if self.received == 1 or self.received >= _FORCED_AT:
            raise Interrupted


@contextmanager
def stop_signals() -> Iterator[StopSignals]:
    """Handle SIGINT, SIGTERM and SIGHUP inside; the handlers from before come back."""
    signals = StopSignals()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # ignored under nohup
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, signals.on_signal) for number in numbers}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
