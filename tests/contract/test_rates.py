"""Rate limits in Redis: the same sliding windows as in memory, counted for all who ask."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest

from persistence.errors import StoreUnavailable
from persistence.ports import Rates
from persistence.records import RateHit
from persistence.redis.rates import RedisRates
from persistence.redis.scripts import load_script
from persistence.redis.server import RedisConnections
from persistence.redis_url import parse_redis_url
from serve.auth.rate_limits import SlidingWindows
from tests.servers.redis import RedisProcess

MINUTE_MS = 60_000


@contextlib.asynccontextmanager
async def opened(url: str, **deadlines: int) -> AsyncIterator[Rates]:
    patient = {"connect_timeout_ms": 20_000, "answer_timeout_ms": 20_000, **deadlines}
    connections = RedisConnections(parse_redis_url(url), connections_max=2, **patient)
    try:
        yield RedisRates(connections)
    finally:
        await connections.close()


@pytest.fixture
async def rates(redis_process: RedisProcess) -> AsyncIterator[Rates]:
    async with opened(redis_process.url) as rates:
        yield rates


def hit(key: str = "k", limit: int = 10, window_ms: int = MINUTE_MS) -> RateHit:
    return RateHit(key=key, limit=limit, window_ms=window_ms)


async def test_hits_up_to_the_limit_and_then_a_wait(rates: Rates) -> None:
    waits = await rates.hit([hit()] * 12)
    assert waits[:10] == [0] * 10
    assert all(0 < wait_ms <= 2 * MINUTE_MS for wait_ms in waits[10:])
    assert await rates.hit([hit("other"), hit()]) == [0, pytest.approx(waits[11], abs=MINUTE_MS / 10)]


async def test_all_replicas_count_together(redis_process: RedisProcess) -> None:
    async with contextlib.AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(opened(redis_process.url)) for _ in range(5)]
        waits = await asyncio.gather(*(replica.hit([hit(), hit()]) for _ in range(3) for replica in replicas))
    assert sum(wait_ms == 0 for pair in waits for wait_ms in pair) == 10


async def test_a_reset_gives_the_hits_back_and_only_that_key(rates: Rates) -> None:
    await rates.hit([hit()] * 10 + [hit("other")] * 10)
    await rates.reset("k")
    assert (await rates.hit([hit(), hit("other")]))[0] == 0
    assert (await rates.hit([hit("other")]))[0] > 0


async def test_the_wait_is_long_enough_and_not_for_ever(rates: Rates) -> None:
    short = hit(limit=3, window_ms=100)
    waits = await rates.hit([short] * 4)
    while max(waits):
        await asyncio.sleep(max(waits) / 1_000)
        waits = await rates.hit([short])
        assert waits[0] <= 10, "whoever waited as long as they were told is let in, give or take the clocks"


async def test_idle_keys_leave_the_server(rates: Rates, redis_process: RedisProcess) -> None:
    await rates.hit([hit()])
    with redis_process.client() as client:
        (key,) = client.keys("stampede:rate:*")
        assert 0 < client.pttl(key) <= 2 * MINUTE_MS


async def test_it_counts_as_the_windows_in_memory_do(redis_process: RedisProcess) -> None:
    """The same hits on the same clock: the script is run with its time given."""
    chance = random.Random(7)
    at_ms = 1_800_000_000_000
    own = SlidingWindows(lambda: at_ms)
    with redis_process.client() as client:
        count = client.register_script(_timed_script())
        for _ in range(2_000):
            at_ms += chance.choice((0, 1, 40, 700, 1_500, 9_000))
            limit, window_ms = 5, 10_000
            assert count(keys=["timed"], args=[limit, window_ms, at_ms]) == [own.hit("timed", limit, window_ms)]


def _timed_script() -> str:
    text = load_script("count_rates").text.decode()
    clock = "local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)\n"
    assert clock in text
    # A key's counters must outlive a test that runs faster than its own clock.
    return text.replace(clock, "local now_ms = tonumber(ARGV[#ARGV])\n").replace("2 * window_ms)\n", "3600000)\n")


async def test_a_server_that_does_not_answer_is_given_up_soon(redis_process: RedisProcess) -> None:
    async with opened(redis_process.url, answer_timeout_ms=50) as rates:
        await rates.hit([hit()])
        redis_process.pause()
        with pytest.raises(StoreUnavailable):
            await rates.hit([hit()])
        redis_process.resume()
        assert await rates.hit([hit()]) == [0]
