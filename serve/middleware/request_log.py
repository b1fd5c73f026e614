"""Which requests are worth a line in the log: those that took too long, and those that we could not serve.

All others are counted by the metrics; a line for each would cost more than many of them. With `every` there is one for
each, for looking closely.
"""

import logging
import time
from typing import Final

import structlog

_log = structlog.get_logger(__name__)

LINES_PER_S_MAX: Final = 50


class RequestLog:
    """Writes at most 50 lines a second: under overload, when nearly every request is worth one, the rest is counted."""

    def __init__(self, *, slow_ms: int, every: bool) -> None:
        self.slow_s = slow_ms / 1e3
        self.every = every
        self._second = 0
        self._lines = 0
        self._left_out = 0

    def note(self, request_id: str, method: str, route: str, status: int, seconds: float) -> None:
        """Write a line about this request, if it is worth one. `route` is a template: a path may be a cart's id."""
        if route == "/ready" and not self.every:
            return  # asked all the time, and 503 is one of its answers
        if status > 500:  # a plain 500 has its line, with the trace
            event = "request_not_served"
        elif seconds >= self.slow_s:
            event = "request_slow"
        elif self.every:
            event = "request"
        else:
            return
        if self._has_room():
            _log.log(
                logging.INFO if event == "request" else logging.WARNING,
                event,
                request_id=request_id,
                method=method,
                route=route,
                status=status,
                took_ms=round(seconds * 1e3),
            )

    def _has_room(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            if self._left_out:
                _log.warning("requests_not_logged", requests=self._left_out)
            self._second, self._lines, self._left_out = second, 0, 0
        if self._lines >= LINES_PER_S_MAX:
            self._left_out += 1
            return False
        self._lines += 1
        return True
