"""Rate limits that all replicas count together, and what a replica does while that is not possible."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from persistence.errors import StoreError
from persistence.ports import Rates
from persistence.records import RateHit
from serve.auth.rate_limits import SlidingWindows
from serve.fresh_cache import monotonic_ms

BATCH_MAX: Final = 256
WAITING_MAX: Final = 2_000
REST_MS: Final = 1_000
"""The shared count is left alone this long after it failed."""

_log = structlog.get_logger(__name__)
_Waiting = tuple[RateHit, "asyncio.Future[int]"]


class SharedRates:
    """A `RateLimiter` over a store that every replica counts in.

    One call is in flight at a time, and what comes meanwhile goes with the next: any number of requests cost one round
    trip each. Guarantees: a request is never refused because the store is away. Then, and while more than
    `WAITING_MAX` wait, this replica counts by itself, from nothing; both changes are logged once.
    """

    def __init__(self, rates: Rates, own: SlidingWindows, now_ms: Callable[[], int] = monotonic_ms) -> None:
        self._rates = rates
        self._own = own
        self._now_ms = now_ms
        self._waiting: list[_Waiting] = []
        self._counting: asyncio.Task[None] | None = None
        self._is_away = False
        self._rests_until_ms = 0

    async def hit(self, key: str, limit: int, window_ms: int) -> int:
        """As in `RateLimiter`."""
        if len(self._waiting) >= WAITING_MAX or self._now_ms() < self._rests_until_ms:
            return self._own.hit(key, limit, window_ms)
        counted: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((RateHit(key=key, limit=limit, window_ms=window_ms), counted))
        if self._counting is None:
            self._counting = asyncio.create_task(self._count(), name="rate-limits")
        return await counted

    async def reset(self, key: str) -> None:
        """Forget what the key did, here too."""
        self._own.reset(key)
        if self._now_ms() < self._rests_until_ms:
            return
        try:
            await self._rates.reset(key)
        except StoreError as error:
            self._leave_alone(error)

    async def _count(self) -> None:
        try:
            while self._waiting:
                await self._count_batch(self._waiting[:BATCH_MAX])
        finally:
            # Whatever ended this: nobody waits for ever.
            self._counting = None
            self._answer(len(self._waiting), None)

    async def _count_batch(self, batch: list[_Waiting]) -> None:
        waits: list[int] | None = None
        try:
            waits = await self._rates.hit([hit for hit, _ in batch])
        except StoreError as error:
            self._leave_alone(error)
        else:
            if self._is_away:
                self._is_away = False
                _log.info("rate_limits.shared_again")
        self._answer(len(batch), waits)

    def _answer(self, count: int, waits: list[int] | None) -> None:
        """Answer the first that wait; without `waits` by what this replica counts itself."""
        answered, self._waiting = self._waiting[:count], self._waiting[count:]
        for position, (hit, counted) in enumerate(answered):
            # Whoever asked may have gone.
            if not counted.done():
                wait_ms = self._own.hit(hit.key, hit.limit, hit.window_ms) if waits is None else waits[position]
                counted.set_result(wait_ms)

    def _leave_alone(self, error: StoreError) -> None:
        self._rests_until_ms = self._now_ms() + REST_MS
        if not self._is_away:
            self._is_away = True
            _log.warning("rate_limits.counted_alone", error=str(error))
