"""A read-through cache with a bound on age: what it answers was asked of the store at most that long ago."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def monotonic_ms() -> int:
    """The process's own clock, which never goes backwards."""
    return time.monotonic_ns() // 1_000_000


class FreshCache(Generic[K, V]):
    """Reads through `load`, at most `max_age_ms` behind it.

    Guarantees: an answer reflects a load that *began* at most `max_age_ms` before the call. One load runs at a time;
    what is missed meanwhile joins the next one, so any number of callers cost one query a round trip. Absence is
    cached too. `now_ms` must never go backwards. If `load` raises, every caller that waited for it gets that error, and nothing is cached.
    """

    def __init__(
        self,
        load: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]],
        *,
        max_age_ms: int,
        now_ms: Callable[[], int] = monotonic_ms,
        entries_max: int = 100_000,
    ) -> None:
        self._load = load
        self._max_age_ms = max_age_ms
        self._entries_max = entries_max
        self._now_ms = now_ms
        self._entries: dict[K, tuple[int, V | None]] = {}
        self._wanted: dict[K, asyncio.Future[V | None]] = {}
        self._loader: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """The value, or None if the store has none."""
        entry = self._entries.get(key)
        if entry is not None and self._now_ms() - entry[0] <= self._max_age_ms:
            return entry[1]
        return await self._miss(key)

    async def get_many(self, keys: Sequence[K]) -> dict[K, V]:
        """The values of those keys that the store has."""
        now_ms = self._now_ms()
        found: dict[K, V] = {}
        missed: list[K] = []
        for key in keys:
            entry = self._entries.get(key)
            if entry is None or now_ms - entry[0] > self._max_age_ms:
                missed.append(key)
            elif entry[1] is not None:
                found[key] = entry[1]
        values = await asyncio.gather(*(self._miss(key) for key in missed))
        found.update((key, value) for key, value in zip(missed, values, strict=True) if value is not None)
        return found

    def put(self, key: K, value: V) -> None:
        """Remember what this process has just written."""
        self._entries[key] = (self._now_ms(), value)

    async def _miss(self, key: K) -> V | None:
        future = self._wanted.get(key)
        if future is None:
            future = self._wanted[key] = asyncio.get_running_loop().create_future()
        if self._loader is None:
            self._loader = asyncio.create_task(self._load_wanted())
        # Shielded: a client that hangs up must not cancel what others wait for.
        return await asyncio.shield(future)

    async def _load_wanted(self) -> None:
        try:
            while self._wanted:
                batch, self._wanted = self._wanted, {}
                await self._load_batch(batch)
        finally:
            self._loader = None

    async def _load_batch(self, batch: dict[K, asyncio.Future[V | None]]) -> None:
        asked_at_ms = self._now_ms()
        before = {key: self._entries.get(key) for key in batch}
        try:
            values = await self._load(list(batch))
        except Exception as error:  # noqa: BLE001 - handed to every caller that waits for it
            for future in batch.values():
                future.set_exception(error)
                future.exception()  # seen, even if every caller has gone
            return
        if len(self._entries) + len(batch) > self._entries_max:
            self._entries.clear()
        for key, future in batch.items():
            entry = self._entries.get(key)
            if entry is None or entry is before[key]:
                entry = self._entries[key] = (asked_at_ms, values.get(key))
            # Else it was `put` while the store was asked, which may not have known of it yet.
            future.set_result(entry[1])
