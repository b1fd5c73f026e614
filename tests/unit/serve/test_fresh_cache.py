"""The read-through cache with a bound on age."""

import asyncio
from collections.abc import Mapping, Sequence

from persistence.errors import StoreUnavailable
from serve.fresh_cache import FreshCache
from tests.http_app import FakeClock


class Source:
    def __init__(self) -> None:
        self.values = {"a": 1, "b": 2}
        self.loads: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None

    async def load(self, keys: Sequence[str]) -> Mapping[str, int]:
        self.loads.append(list(keys))
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return {key: self.values[key] for key in keys if key in self.values}


def cached(source: Source, clock: FakeClock, entries_max: int = 10) -> FreshCache[str, int]:
    return FreshCache(source.load, max_age_ms=100, now_ms=clock.now_ms, entries_max=entries_max)


async def test_it_asks_again_only_past_the_age() -> None:
    source, clock = Source(), FakeClock()
    cache = cached(source, clock)
    assert await cache.get("a") == 1
    source.values["a"] = 9
    clock.advance(100)
    assert await cache.get("a") == 1
    clock.advance(1)
    assert await cache.get("a") == 9


async def test_absence_is_remembered_too() -> None:
    source = Source()
    cache = cached(source, FakeClock())
    assert await cache.get("none") is None
    assert await cache.get("none") is None
    assert len(source.loads) == 1


async def test_callers_share_loads() -> None:
    source = Source()
    cache = cached(source, FakeClock())
    source.gate.clear()
    first = [asyncio.create_task(cache.get("a")) for _ in range(50)]
    await asyncio.sleep(0)
    late = [asyncio.create_task(cache.get_many(["a", "b"])) for _ in range(50)]
    await asyncio.sleep(0)
    source.gate.set()
    assert await asyncio.gather(*first) == [1] * 50
    assert await asyncio.gather(*late) == [{"a": 1, "b": 2}] * 50
    assert len(source.loads) <= 2


async def test_age_counts_from_before_the_question() -> None:
    source, clock = Source(), FakeClock()
    cache = cached(source, clock)
    source.gate.clear()
    asked = asyncio.create_task(cache.get("a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    clock.advance(101)
    source.gate.set()
    await asked
    await cache.get("a")
    assert len(source.loads) == 2


async def test_a_caller_that_leaves_does_not_cancel_the_others() -> None:
    source = Source()
    cache = cached(source, FakeClock())
    source.gate.clear()
    leaves, stays = asyncio.create_task(cache.get("a")), asyncio.create_task(cache.get("a"))
    await asyncio.sleep(0)
    leaves.cancel()
    source.gate.set()
    assert await stays == 1


async def test_an_error_goes_to_everyone_and_is_not_kept() -> None:
    source = Source()
    cache = cached(source, FakeClock())
    source.error = StoreUnavailable("down")
    answers = await asyncio.gather(cache.get("a"), cache.get("b"), return_exceptions=True)
    assert all(isinstance(answer, StoreUnavailable) for answer in answers)
    source.error = None
    assert await cache.get("a") == 1


async def test_it_never_grows_beyond_its_limit() -> None:
    source = Source()
    cache = cached(source, FakeClock(), entries_max=3)
    for key in "uvwxyz":
        await cache.get(key)
    assert len(cache._entries) <= 3


async def test_a_write_of_our_own_shows_at_once() -> None:
    source = Source()
    cache = cached(source, FakeClock())
    await cache.get("a")
    cache.put("a", 7)
    assert await cache.get("a") == 7


async def test_a_write_of_our_own_is_not_undone_by_an_answer_from_before_it() -> None:
    source = Source()
    cache = cached(source, FakeClock())
    source.gate.clear()
    asked = asyncio.create_task(cache.get("a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert source.loads == [["a"]]
    cache.put("a", 7)
    source.gate.set()
    assert (await asked, await cache.get("a")) == (7, 7)


async def test_what_may_not_be_kept_is_asked_for_anew_within_the_same_millisecond() -> None:
    source, clock = Source(), FakeClock()
    cache = FreshCache(source.load, max_age_ms=-1, now_ms=clock.now_ms)
    assert await cache.get("a") == 1
    source.values["a"] = 9
    assert await cache.get("a") == 9
