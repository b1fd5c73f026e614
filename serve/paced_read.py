"""One value that is expensive to read, read again no sooner than its cost allows."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

V = TypeVar("V")

_REST: Final = 20
"""A read rests this many times as long as it took: whoever looks on costs a twentieth of a connection at most."""


class PacedRead(Generic[V]):
    """Reads `load` when asked, one at a time, and keeps the value for `max_age_ms`, or longer if it was expensive.

    `now_ms` must never go backwards. If `load` raises, everybody who waited for it gets that error, and nothing is kept.
    """

    def __init__(self, load: Callable[[], Awaitable[V]], *, max_age_ms: int, now_ms: Callable[[], int]) -> None:
        self._load = load
        self._max_age_ms = max_age_ms
        self._now_ms = now_ms
        self._value: V | None = None
        self._fresh_until_ms: int | None = None
        self._reading: asyncio.Task[V] | None = None

    async def get(self) -> V:
        """The value. Raises whatever `load` raises."""
        # What is None here is None in V too.
        if self._fresh_until_ms is not None and self._now_ms() <= self._fresh_until_ms:
            return self._value  # type: ignore[return-value]
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
            # Seen here, for whoever asked may have gone.
            self._reading.add_done_callback(lambda task: task.cancelled() or task.exception())
        # Shielded: one who gives up must not end what others wait for.
        return await asyncio.shield(self._reading)

    async def _read(self) -> V:
        began_ms = self._now_ms()
        try:
            value = await self._load()
            ended_ms = self._now_ms()
            self._value = value
            self._fresh_until_ms = max(began_ms + self._max_age_ms, ended_ms + _REST * (ended_ms - began_ms))
            return value
        finally:
            self._reading = None
