"""A Redis that cannot be trusted with carts is told in one line before anything starts."""

import asyncio
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from persistence.records import RateHit
from persistence.redis.stores import open_redis
from persistence.redis_settings import RedisSettings
from persistence.settings import StoreSettings
from persistence.stores import open_memory_stores
from serve.platform.errors import UserError
from serve.platform.redis_check import check_redis
from tests.contract.builders import answer, cart_write, event
from tests.servers.redis import MISSING, RedisProcess, binary, redis_process

__all__ = ["redis_process"]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def client(redis_process: RedisProcess) -> Iterator["redis.Redis"]:
    with redis_process.client() as client:
        yield client


def check(url: str, *, production: bool = True, unsafe_allowed: bool = False) -> None:
    check_redis(RedisSettings(redis_url=url, redis_unsafe_allowed=unsafe_allowed), production=production)


def fault(url: str, **told: bool) -> str:
    with pytest.raises(UserError) as caught:
        check(url, **told)
    text = str(caught.value)
    assert "REDIS_URL" in text
    assert "\n" not in text
    return text


def test_a_good_server_passes_without_a_word(redis_process: RedisProcess, caplog: pytest.LogCaptureFixture) -> None:
    check(redis_process.url)
    assert caplog.messages == []


def test_a_wrong_password_is_told_and_not_repeated(redis_process: RedisProcess) -> None:
    told = fault(f"redis://:secret@127.0.0.1:{redis_process.port}")
    assert "password" in told
    assert "secret" not in told
    assert "Authentication required" in fault(f"redis://127.0.0.1:{redis_process.port}")


def test_a_server_that_is_not_there_is_told(redis_process: RedisProcess) -> None:
    redis_process.kill()
    assert "no connection" in fault(redis_process.url)


def test_a_database_that_the_server_does_not_have_is_told(redis_process: RedisProcess) -> None:
    assert "out of range" in fault(redis_process.url.removesuffix("/0") + "/99")


def test_something_that_is_no_redis_is_told() -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    async def told() -> str:
        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await asyncio.to_thread(fault, f"redis://127.0.0.1:{port}")

    assert "cannot be used" in asyncio.run(told())


def test_a_replica_is_told(redis_process: RedisProcess, client: "redis.Redis") -> None:
    client.replicaof("127.0.0.1", 1)
    assert "replica" in fault(redis_process.url)


def test_cluster_mode_is_told() -> None:
    program = binary()
    if program is None:
        pytest.skip(MISSING)
    server = RedisProcess(program, ("--cluster-enabled", "yes"))
    try:
        server.start()
        assert "cluster mode" in fault(server.url)
    finally:
        server.close()


def test_a_server_without_room_is_told(redis_process: RedisProcess, client: "redis.Redis") -> None:
    client.config_set("maxmemory", 1)
    assert "maxmemory" in fault(redis_process.url)


def test_a_user_who_may_not_write_our_keys_is_told(redis_process: RedisProcess, client: "redis.Redis") -> None:
    client.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~other:*", "+@all")
    assert "permissions" in fault(f"redis://app:pw@127.0.0.1:{redis_process.port}")


def test_a_server_that_hides_how_it_is_set_is_used_and_that_is_logged(
    redis_process: RedisProcess, client: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    client.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~stampede:*", "+@all", "-config", "-info")
    check(f"redis://app:pw@127.0.0.1:{redis_process.port}")
    assert ["INFO is refused" in text or "CONFIG GET is refused" in text for text in caplog.messages] == [True, True]


def test_the_user_that_the_docs_propose_is_enough(
    redis_process: RedisProcess, client: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    (rules,) = re.findall(r"`ACL SETUSER shop (.+?)`", (ROOT / "docs/stores/redis.md").read_text(encoding="utf-8"))
    client.execute_command("ACL", "SETUSER", "shop", *rules.split())
    url = f"redis://shop:password@127.0.0.1:{redis_process.port}"
    check(url)
    assert caplog.messages == []

    async def use() -> None:
        stores = open_redis(url, StoreSettings.of("postgresql://unused"), open_memory_stores(lambda: 9).retention)
        try:
            writes = [cart_write("a", expires_at_ms=1, events=[event()], idempotency=[answer()]), cart_write("b")]
            assert len(await stores.carts.save(writes)) == 2
            assert await stores.carts.delete("a", 1, [event()])
            assert await stores.carts.expired(9, 9) == []
            epoch = await stores.outbox.take()
            assert await stores.outbox.done(epoch, [row.id for row in await stores.outbox.read(9)])
            assert await stores.retention.forget_answers("carts", 9, 9) == 1
            assert await stores.rates.hit([RateHit(key="k", limit=1, window_ms=1_000)]) == [0]
            await stores.rates.reset("k")
        finally:
            await stores.close()

    asyncio.run(use())


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"appendonly": "no"}, "append-only"),
        ({"appendfsync": "no"}, "appendfsync"),
        ({"maxmemory": "100mb", "maxmemory-policy": "volatile-ttl"}, "evicts"),
    ],
)
def test_a_server_that_may_lose_carts_is_refused_in_production_and_logged_elsewhere(
    redis_process: RedisProcess,
    client: "redis.Redis",
    caplog: pytest.LogCaptureFixture,
    settings: dict[str, str],
    why: str,
) -> None:
    for name, value in settings.items():
        client.config_set(name, value)
    assert why in fault(redis_process.url)
    assert caplog.messages == []
    with caplog.at_level(logging.WARNING):
        check(redis_process.url, production=False)
        check(redis_process.url, unsafe_allowed=True)
    assert [why in text for text in caplog.messages] == [True, True]


def test_a_policy_that_evicts_is_no_matter_without_a_limit(redis_process: RedisProcess, client: "redis.Redis") -> None:
    client.config_set("maxmemory-policy", "allkeys-lru")
    check(redis_process.url)
