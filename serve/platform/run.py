"""Starts the parts of a platform in order and stops them in reverse. Knows neither Ray nor a store."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from serve.platform.report import Report
from serve.platform.signals import Interrupted

_LOG = logging.getLogger(__name__)


def _nothing() -> None:
    """A step that leaves nothing to stop."""


def _no_fault() -> str | None:
    """A step that mends itself, or cannot break."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One part of the platform. `stop` must bear a `start` that failed half-way.

    `fault` says in a few words why the part cannot go on, None while it can.
    """

    name: str
    start: Callable[[], None]
    stop: Callable[[], None] = _nothing
    fault: Callable[[], str | None] = _no_fault


class Run:
    """The parts of one platform.

    Guarantees: a step is started only after all before it; whatever was begun is stopped exactly once, in reverse
    order; a stop that fails is logged and keeps no other from being stopped.
    """

    def __init__(self, steps: Sequence[Step], report: Report) -> None:
        self._steps = steps
        self._report = report
        self._begun: list[Step] = []

    def start(self) -> None:
        """Start everything. Raises what a step raises; call `stop` then, as after success."""
        for step in self._steps:
            self._begun.append(step)
            self._report.begins(step.name)
            began = time.monotonic()
            step.start()
            took_ms = round((time.monotonic() - began) * 1000)
            _LOG.info("%s: started in %d ms", step.name, took_ms)
            self._report.ends(step.name, took_ms)

    def fault(self) -> str | None:
        """Why the platform cannot go on; None while it can."""
        return next((why for step in self._begun if (why := step.fault()) is not None), None)

    def stop(self) -> bool:
        """Stop whatever was begun. False if a part did not stop as it should."""
        clean = True
        while self._begun:
            step = self._begun.pop()
            began = time.monotonic()
            try:
                step.stop()
            except (Exception, Interrupted):  # noqa: BLE001 -- the top of the way down: one fault must not keep the rest running
                _LOG.exception("%s: did not stop cleanly", step.name)
                clean = False
            else:
                _LOG.info("%s: stopped in %d ms", step.name, round((time.monotonic() - began) * 1000))
        return clean
