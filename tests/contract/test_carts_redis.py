"""What Redis alone can get wrong: kills, lost answers, servers that cannot write, carts that vanish."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from persistence.errors import AlreadyExists, OutcomeUnknown, StoreError, StoreUnavailable, WriteRefused
from persistence.redis.carts import ANSWER_TTL_MS, EXPIRY_GRACE_MS
from persistence.redis.stores import RedisStores, open_redis
from persistence.settings import StoreSettings
from persistence.stores import open_memory_stores
from tests.contract.builders import NEVER_MS, answer, cart_write, event
from tests.servers.redis import RedisProcess

DAY_MS = 86_400_000
WRITERS = 50


@contextlib.asynccontextmanager
async def opened(url: str, **settings: int) -> AsyncIterator[RedisStores]:
    patient = {"connect_timeout_ms": 20_000, "answer_timeout_ms": 30_000, **settings}
    rest = open_memory_stores(lambda: 0).retention
    stores = open_redis(url, StoreSettings.of("postgresql://unused", **patient), rest)
    try:
        yield stores
    finally:
        await stores.close()


@pytest.fixture
async def stores(redis_process: RedisProcess) -> AsyncIterator[RedisStores]:
    async with opened(redis_process.url) as stores:
        yield stores


@pytest.fixture
def client(redis_process: RedisProcess) -> Iterator["redis.Redis"]:
    with redis_process.client() as client:
        yield client


async def test_of_fifty_writers_on_one_version_one_wins(stores: RedisStores, redis_process: RedisProcess) -> None:
    async with contextlib.AsyncExitStack() as stack:
        writers = [await stack.enter_async_context(opened(redis_process.url)) for _ in range(WRITERS)]
        for expected in range(3):
            write = [cart_write(expected_version=expected, events=[event("cart-1", expected + 1)])]
            results = await asyncio.gather(*(writer.carts.save(write) for writer in writers))
            assert sorted(map(len, results)) == [0] * (WRITERS - 1) + [1]
    assert [row.event.version for row in await stores.outbox.read(10)] == [1, 2, 3]


async def test_a_killed_server_has_every_acknowledged_change(stores: RedisStores, redis_process: RedisProcess) -> None:
    """Writers that never stop; the server is killed under them, three times."""
    acknowledged: dict[str, int] = {}
    unknown: set[str] = set()
    over = asyncio.Event()

    async def write(cart_id: str) -> None:
        version = 0
        while not over.is_set():
            change = cart_write(cart_id, version, events=[event(cart_id, version + 1)])
            try:
                written = await stores.carts.save([change])
            except StoreUnavailable:
                await asyncio.sleep(0.001)
                continue
            except OutcomeUnknown:
                unknown.add(cart_id)
                version = await stored_version(cart_id)
            else:
                assert written == {cart_id}
                version += 1
            acknowledged[cart_id] = version

    async def stored_version(cart_id: str) -> int:
        while True:
            with contextlib.suppress(StoreUnavailable):
                found = await stores.carts.load([cart_id])
                return found[cart_id].version if found else 0
            await asyncio.sleep(0.001)

    async def until_all_are_past(counts: dict[str, int], by: int) -> None:
        while any(acknowledged.get(name, 0) < counts.get(name, 0) + by for name in names):  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    names = [f"cart-{n}" for n in range(8)]
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(write(name))
        for _ in range(3):
            await until_all_are_past(dict(acknowledged), 10)
            redis_process.kill()
            await asyncio.to_thread(redis_process.start)
        await until_all_are_past(dict(acknowledged), 10)
        over.set()
    carts = await stores.carts.load(names)
    assert {name: cart.version for name, cart in carts.items()} == acknowledged
    versions: dict[str, list[int]] = {name: [] for name in names}
    for row in await stores.outbox.read(1_000_000):
        versions[row.event.entity_id].append(row.event.version)
    assert versions == {name: list(range(1, version + 1)) for name, version in acknowledged.items()}
    assert unknown, "no kill fell between a write and its answer: nothing was tried"


async def test_a_write_without_an_answer_is_unknown_and_may_happen_later(
    stores: RedisStores, redis_process: RedisProcess
) -> None:
    async with opened(redis_process.url, answer_timeout_ms=200, connect_timeout_ms=2_000) as hasty:
        await hasty.probe()
        redis_process.pause()
        try:
            with pytest.raises(OutcomeUnknown):
                await hasty.carts.save([cart_write()])
            with pytest.raises(StoreError) as read:
                await hasty.carts.load(["cart-1"])
            assert type(read.value) is StoreUnavailable
        finally:
            redis_process.resume()
        # Its orphan ran when the server woke up. It compared versions, so the next writer is safe whatever it did.
        async with asyncio.timeout(10):
            while not await hasty.carts.load(["cart-1"]):  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.01)
        assert await hasty.carts.save([cart_write()]) == frozenset()
        assert await hasty.carts.save([cart_write(expected_version=1)]) == {"cart-1"}


async def test_a_connection_that_broke_under_a_write_is_never_used_again(
    stores: RedisStores, redis_process: RedisProcess
) -> None:
    async with opened(redis_process.url, answer_timeout_ms=100, pool_connections_max=1) as hasty:
        await hasty.carts.save([cart_write("a")])
        redis_process.pause()
        with pytest.raises(OutcomeUnknown):
            await hasty.carts.save([cart_write("b")])
        redis_process.resume()
        # An answer to the old question must not be taken for one to the new.
        assert set(await hasty.carts.load(["a"])) == {"a"}
        assert await hasty.carts.answer("p", "r", "k") is None


async def test_a_cancelled_call_leaves_no_answer_for_the_next(stores: RedisStores, redis_process: RedisProcess) -> None:
    async with opened(redis_process.url, pool_connections_max=1) as one:
        await one.carts.save([cart_write("a")])
        redis_process.pause()
        call = asyncio.create_task(one.carts.load(["a", "b", "c"]))
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        redis_process.resume()
        assert await one.carts.answer("p", "r", "k") is None


async def test_a_server_that_is_away_is_unavailable_for_reads_and_writes(
    stores: RedisStores, redis_process: RedisProcess
) -> None:
    await stores.carts.save([cart_write()])
    redis_process.kill()
    for call in (stores.carts.load(["cart-1"]), stores.outbox.read(1), stores.probe(), stores.carts.expired(1, 1)):
        with pytest.raises(StoreUnavailable):
            await call
    # The broken connections are gone by now; a new one is refused, so nothing was sent.
    with pytest.raises(StoreUnavailable):
        await stores.carts.save([cart_write(expected_version=1)])
    redis_process.start()
    assert (await stores.carts.load(["cart-1"]))["cart-1"].version == 1
    assert await stores.carts.save([cart_write(expected_version=1)]) == {"cart-1"}


async def test_the_wait_for_a_connection_is_bounded(redis_process: RedisProcess) -> None:
    async with opened(redis_process.url, connect_timeout_ms=50, pool_connections_max=1) as one:
        await one.probe()
        redis_process.pause()
        first = asyncio.create_task(one.carts.load(["a"]))
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable, match="no connection"):
            await one.carts.save([cart_write()])
        redis_process.resume()
        assert await first == {}


@pytest.mark.parametrize("why", ["full", "replica"])
async def test_a_server_that_cannot_write_says_so_before_it_writes(
    stores: RedisStores, client: "redis.Redis", why: str
) -> None:
    await stores.carts.save([cart_write("old")])
    if why == "full":
        client.config_set("maxmemory", 1)
    else:
        client.replicaof("127.0.0.1", 1)
    with pytest.raises(StoreUnavailable):
        await stores.carts.save([cart_write(events=[event()])])
    with pytest.raises(StoreUnavailable):
        await stores.probe()
    assert set(await stores.carts.load(["old", "cart-1"])) == {"old"}
    client.config_set("maxmemory", 0)
    client.replicaof("NO", "ONE")
    assert await stores.outbox.read(10) == []
    assert await stores.carts.save([cart_write()]) == {"cart-1"}


async def test_a_server_that_forgot_the_scripts_is_told_them_again(stores: RedisStores, client: "redis.Redis") -> None:
    await stores.carts.save([cart_write()])
    client.script_flush()
    assert await stores.carts.save([cart_write(expected_version=1)]) == {"cart-1"}
    assert await stores.outbox.take() == 1


async def test_something_else_under_our_names_stops_a_write_before_it_begins(
    stores: RedisStores, client: "redis.Redis"
) -> None:
    client.set("stampede:carts:outbox", "mine")
    with pytest.raises(OutcomeUnknown):
        await stores.carts.save([cart_write(events=[event()])])
    assert await stores.carts.load(["cart-1"]) == {}


async def test_the_server_removes_what_our_timers_did_not(stores: RedisStores, client: "redis.Redis") -> None:
    seconds, _ = client.time()
    idle_until_ms = (seconds + 30 * 86_400) * 1000
    await stores.carts.save([cart_write("a", expires_at_ms=idle_until_ms, idempotency=[answer()])])
    await stores.carts.save([cart_write("over", expires_at_ms=1_000)])
    await stores.carts.save([cart_write("never", expires_at_ms=NEVER_MS)])
    assert client.pexpiretime("stampede:cart:a") == idle_until_ms + EXPIRY_GRACE_MS
    assert 0 < client.pttl("stampede:cart:over") <= DAY_MS
    (key,) = client.keys("stampede:carts:answer:*")
    assert 7 * DAY_MS < client.pttl(key) <= ANSWER_TTL_MS


async def test_a_lost_cart_is_absent_and_is_not_written_at_its_old_version(
    stores: RedisStores, client: "redis.Redis"
) -> None:
    await stores.carts.save([cart_write()])
    client.delete("stampede:cart:cart-1")
    assert await stores.carts.load(["cart-1"]) == {}
    assert await stores.carts.save([cart_write(expected_version=1, events=[event()])]) == frozenset()
    assert await stores.outbox.read(10) == []
    assert await stores.carts.save([cart_write()]) == {"cart-1"}


async def test_lost_carts_do_not_hide_expired_ones(stores: RedisStores, client: "redis.Redis") -> None:
    writes = [cart_write(f"c{n}", expires_at_ms=n + 1) for n in range(6)]
    await stores.carts.save(writes)
    client.delete(*(f"stampede:cart:c{n}" for n in range(4)))
    assert [cart.id for cart in await stores.carts.expired(100, 2)] == ["c4", "c5"]
    assert client.zrange("stampede:carts:expiry", 0, -1) == [b"c4", b"c5"]


async def test_ids_are_kept_byte_for_byte_and_are_never_mixed_up(stores: RedisStores) -> None:
    names = ["a:b", "a", "ä\n", "a\x00b", "*", "{x}"]
    await stores.carts.save([cart_write(name, expires_at_ms=5) for name in names])
    assert {cart.id for cart in await stores.carts.expired(9, 10)} == set(names)
    first, second = answer("c", route="b"), answer('c"', route='","b')
    await stores.carts.save([cart_write("k", idempotency=[first, second])])
    assert await stores.carts.answer("usr_1", "b", "c") == first
    assert await stores.carts.answer("usr_1", '","b', 'c"') == second
    assert await stores.carts.answer("usr_1", "b", 'c"') is None


async def test_one_answer_twice_in_a_call_is_refused_whole(stores: RedisStores) -> None:
    with pytest.raises(AlreadyExists):
        await stores.carts.save([cart_write("a", idempotency=[answer()]), cart_write("b", idempotency=[answer()])])
    assert await stores.carts.load(["a", "b"]) == {}


async def test_a_last_event_that_is_none_keeps_the_cart(stores: RedisStores) -> None:
    await stores.carts.save([cart_write(expires_at_ms=5)])
    with pytest.raises(WriteRefused):
        await stores.carts.delete("cart-1", 1, [event(version=0)])
    assert [cart.id for cart in await stores.carts.expired(9, 10)] == ["cart-1"]


async def test_a_large_call_is_one_write(stores: RedisStores) -> None:
    writes = [cart_write(f"c{n:04}", events=[event(f"c{n:04}", v) for v in (1, 2)]) for n in range(1_000)]
    assert len(await stores.carts.save(writes)) == 1_000
    rows = await stores.outbox.read(5_000)
    assert [row.id for row in rows] == list(range(1, 2_001))
    epoch = await stores.outbox.take()
    assert await stores.outbox.done(epoch, [row.id for row in rows])
    await stores.carts.save([cart_write("after", events=[event("after", 1)])])
    assert [row.id for row in await stores.outbox.read(10)] == [2_001], "an id is never given twice"


async def test_an_outbox_that_was_lost_with_its_epoch_stops_its_consumer(
    stores: RedisStores, client: "redis.Redis"
) -> None:
    epoch = await stores.outbox.take()
    client.flushdb()
    await stores.carts.save([cart_write(events=[event()])])
    (row,) = await stores.outbox.read(10)
    assert not await stores.outbox.done(epoch, [row.id])
    assert await stores.outbox.read(10) == [row]
