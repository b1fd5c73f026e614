"""Rate limits over a store that all replicas count in: batches, and what happens while it is away."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import structlog

from persistence.errors import StoreUnavailable
from persistence.records import RateHit
from persistence.stores import open_memory_stores
from serve.auth.rate_limits import SlidingWindows
from serve.auth.shared_rates import BATCH_MAX, REST_MS, WAITING_MAX, SharedRates
from tests.http_app import FakeClock, open_world


@dataclass
class FakeRates:
    """Counts in one table; holds a call while `gate` is closed."""

    clock: FakeClock = field(default_factory=FakeClock)
    away: bool = False
    broken: bool = False
    calls: list[int] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.windows = SlidingWindows(self.clock.now_ms)
        self.gate.set()

    async def hit(self, hits: Sequence[RateHit]) -> list[int]:
        self.calls.append(len(hits))
        await self.gate.wait()
        self._fail()
        return [self.windows.hit(hit.key, hit.limit, hit.window_ms) for hit in hits]

    async def reset(self, key: str) -> None:
        self._fail()
        self.windows.reset(key)

    def _fail(self) -> None:
        if self.away:
            raise StoreUnavailable("away")
        if self.broken:
            raise ZeroDivisionError


@dataclass
class Replicas:
    rates: FakeRates = field(default_factory=FakeRates)

    def one(self) -> SharedRates:
        clock = self.rates.clock
        return SharedRates(self.rates, SlidingWindows(clock.now_ms), clock.now_ms)


async def hits(replica: SharedRates, count: int, limit: int = 10) -> int:
    """How many of so many at once were let in."""
    waits = await asyncio.gather(*(replica.hit("k", limit, 60_000) for _ in range(count)))
    return waits.count(0)


async def test_replicas_share_one_count() -> None:
    replicas = Replicas()
    first, second = replicas.one(), replicas.one()
    assert [await hits(first, 6), await hits(second, 6), await hits(first, 6)] == [6, 4, 0]
    await second.reset("k")
    assert await hits(first, 1) == 1


async def test_what_comes_while_a_call_is_out_goes_with_the_next() -> None:
    replicas = Replicas()
    replica, rates = replicas.one(), replicas.rates
    rates.gate.clear()
    waiting = [asyncio.create_task(replica.hit(str(n), 1, 60_000)) for n in range(BATCH_MAX + 50)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    late = asyncio.create_task(replica.hit("late", 1, 60_000))
    rates.gate.set()
    assert [await one for one in [*waiting, late]] == [0] * (BATCH_MAX + 51)
    assert rates.calls == [BATCH_MAX, 51]


async def test_a_store_that_is_away_refuses_nobody_and_is_told_once() -> None:
    replicas = Replicas()
    replica, rates = replicas.one(), replicas.rates
    rates.away = True
    with structlog.testing.capture_logs() as logs:
        assert await hits(replica, 20) == 10, "counted by the replica itself"
        asked = len(rates.calls)
        assert await hits(replica, 5) == 0
        await replica.reset("k")
        assert await hits(replica, 5) == 5
        assert len(rates.calls) == asked, "left alone for a while"
        rates.clock.advance(REST_MS)
        assert await hits(replica, 1) == 1
        assert len(rates.calls) == asked + 1
        rates.away = False
        rates.clock.advance(REST_MS)
        assert await hits(replica, 20) == 10, "the shared count knows nothing of what was counted alone"
    assert [line["event"] for line in logs] == ["rate_limits.counted_alone", "rate_limits.shared_again"]


async def test_a_reset_while_the_store_is_away_holds_here() -> None:
    replicas = Replicas()
    replica = replicas.one()
    replicas.rates.away = True
    await replica.reset("k")
    assert await hits(replica, 11) == 10


async def test_more_than_may_wait_are_counted_here() -> None:
    replicas = Replicas()
    replica, rates = replicas.one(), replicas.rates
    rates.gate.clear()
    waiting = [asyncio.create_task(replica.hit(str(n), 1, 60_000)) for n in range(WAITING_MAX)]
    await asyncio.sleep(0)
    first, second = [await replica.hit("one more", 1, 60_000) for _ in range(2)]
    assert (first, second > 0) == (0, True)
    rates.gate.set()
    assert await asyncio.gather(*waiting) == [0] * WAITING_MAX
    assert sum(rates.calls) == WAITING_MAX


async def test_whoever_gives_up_waiting_hurts_nobody() -> None:
    replicas = Replicas()
    replica, rates = replicas.one(), replicas.rates
    rates.gate.clear()
    gone, stays = (asyncio.create_task(replica.hit(name, 1, 60_000)) for name in ("gone", "stays"))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    rates.gate.set()
    assert await stays == 0


async def test_nobody_waits_for_ever_when_the_store_s_adapter_breaks() -> None:
    replicas = Replicas()
    replica = replicas.one()
    replicas.rates.broken = True
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: faults.append(context))
    async with asyncio.timeout(5):
        assert await hits(replica, 3) == 3
    assert replica._counting is None


@pytest.mark.parametrize(("enabled", "last"), [(True, 429), (False, 200)])
async def test_replicas_of_the_application_count_together(tmp_path: Path, *, enabled: bool, last: int) -> None:
    rates = FakeRates()
    stores = replace(open_memory_stores(rates.clock.now_ms), rates=rates)
    limits = {"limits_enabled": enabled, "limits_requests_per_10s": 3}
    async with (
        open_world(tmp_path, stores=stores, clock=rates.clock, **limits) as first,
        open_world(tmp_path, stores=stores, clock=rates.clock, **limits) as second,
    ):
        statuses = [
            (await world.client.get("/api/v1/categories")).status_code for world in (first, second, first, second)
        ]
    assert statuses == [200, 200, 200, last]


async def test_a_login_gives_the_attempts_back_to_all_replicas(tmp_path: Path) -> None:
    rates = FakeRates()
    stores = replace(open_memory_stores(rates.clock.now_ms), rates=rates)
    async with (
        open_world(tmp_path, stores=stores, clock=rates.clock) as first,
        open_world(tmp_path, stores=stores, clock=rates.clock) as second,
    ):
        await first.register()
        for _ in range(3):
            for world in (first, second) * 4:
                assert (await world.login("test@example.com", "wrong")).status_code == 401
            assert (await second.login("test@example.com")).status_code == 200
        for world in (first, second) * 5:
            await world.login("test@example.com", "wrong")
        assert (await first.login("test@example.com")).status_code == 429
