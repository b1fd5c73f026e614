"""The database's time, known to every process as an interval that is sure to hold it."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
import structlog

from cluster.tasks import TaskOwner
from persistence.errors import StoreError

log = structlog.get_logger(__name__)


class Interval(msgspec.Struct, frozen=True, gc=False):
    """The database's time lies in [earliest_ms, latest_ms], milliseconds since the epoch."""

    earliest_ms: int
    latest_ms: int


class ClockUnknown(RuntimeError):
    """No sample was taken yet: nobody knows what time it is."""


class Clock(Protocol):
    """Who can say what time it is in the database."""

    def now(self) -> Interval:
        """The interval that holds the database's time. Raises `ClockUnknown` before the first sample."""


Judge = Callable[[Interval], int]
"""Which end of the interval a deadline is compared with."""


def by_latest(now: Interval) -> int:
    """Deadlines (leases, `not_after`): what may be over is over."""
    return now.latest_ms


def by_earliest(now: Interval) -> int:
    """Expiry of what others hold: only what is surely over is over."""
    return now.earliest_ms


_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None) if sys.platform == "linux" else None


def monotonic_ms() -> float:
    """Time that goes on while the process, or the machine, sleeps (on macOS: while the process does)."""
    if _BOOTTIME is not None:
        return time.clock_gettime_ns(_BOOTTIME) / 1e6
    return time.monotonic_ns() / 1e6


class DatabaseClock:
    """Samples the database's clock and extrapolates between samples.

    A question sent at m0, whose answer T was received at m1, says: T was the time at some moment in [m0, m1].
    So at m the time is at least T + (m - m1) and at most T + (m - m0). An answer that lay in the socket of a
    frozen process makes the interval wide, never wrong. Neither end ever goes backwards.

    Start it with `start()`, which returns when the first sample was taken. A question without an answer
    after `timeout_ms` is dropped and asked again.
    """

    def __init__(
        self,
        sample: Callable[[], Awaitable[int]],
        *,
        monotonic: Callable[[], float] = monotonic_ms,
        interval_ms: int = 2_000,
        timeout_ms: int = 1_000,
        retry_ms: int = 200,
    ) -> None:
        self._sample = sample
        self._monotonic = monotonic
        self._interval_ms = interval_ms
        self._timeout_ms = timeout_ms
        self._retry_ms = retry_ms
        self._known = False
        self._earliest_base_ms = 0.0  # database time minus monotonic time
        self._latest_base_ms = 0.0
        self._earliest_ms = 0  # as last told
        self._latest_ms = 0
        self._tasks = TaskOwner()

    def now(self) -> Interval:
        """The interval that holds the database's time now. Raises `ClockUnknown` before the first sample."""
        if not self._known:
            raise ClockUnknown
        at = self._monotonic()
        self._earliest_ms = max(self._earliest_ms, int(self._earliest_base_ms + at))
        self._latest_ms = max(self._latest_ms, int(self._latest_base_ms + at) + 1, self._earliest_ms)
        return Interval(self._earliest_ms, self._latest_ms)

    async def sample_once(self) -> bool:
        """Ask the database once. False if it did not answer in time; the old sample then stays in use."""
        sent = self._monotonic()
        try:
            async with asyncio.timeout(self._timeout_ms / 1e3):
                answer_ms = await self._sample()
        except (StoreError, TimeoutError) as error:
            log.warning("clock.sample_failed", error=repr(error))
            return False
        received = self._monotonic()
        self._earliest_base_ms = answer_ms - received
        self._latest_base_ms = answer_ms + 1 - sent  # the database's milliseconds are cut off, not rounded
        self._known = True
        return True

    async def start(self) -> None:
        """Take the first sample, however long it takes, then go on sampling in a task."""
        await self._sample_until_answered()
        self._tasks.spawn(self._run(), "clock")

    async def stop(self) -> None:
        """Stop sampling; `now()` goes on extrapolating from the last sample."""
        await self._tasks.close()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval_ms / 1e3)
            await self._sample_until_answered()

    async def _sample_until_answered(self) -> None:
        while True:
            if await self.sample_once():
                return
            await asyncio.sleep(self._retry_ms / 1e3)
