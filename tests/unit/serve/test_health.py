"""Health and readiness."""

import asyncio
from pathlib import Path

import pytest

from persistence.errors import StoreUnavailable
from persistence.records import HostRow
from tests.http_app import START_MS, World, open_world

SERVICES = {"catalog", "inventory", "cart", "order", "payment", "user", "notification"}


async def test_health_names_every_service(world: World) -> None:
    answer = await world.client.get("/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "healthy"
    assert set(answer.json()["checks"]) >= SERVICES


async def test_a_store_that_is_down_makes_health_503(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(*_: object) -> None:
        raise StoreUnavailable("postgresql://user:secret@host")

    monkeypatch.setattr("persistence.memory.carts.MemoryCarts.load", down)
    answer = await world.client.get("/health")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert answer.json()["checks"]["cart"]["status"] == "unhealthy"
    assert answer.json()["checks"]["order"]["status"] == "healthy"
    assert "secret" not in answer.text


async def test_a_store_that_hangs_does_not_hang_health(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("persistence.memory.carts.MemoryCarts.load", hang)
    async with open_world(tmp_path, health_check_timeout_ms=20) as world:
        answer = await world.client.get("/health")
    assert answer.status_code == 503
    assert answer.json()["checks"]["cart"]["detail"] == "no answer in time"


async def test_ready_once_every_shard_has_a_living_owner(world: World) -> None:
    assert (await world.client.get("/ready")).status_code == 503
    host = HostRow(
        host="h", incarnation="1", node="n", actor_name="a", weight=1.0, renewed_at_ms=START_MS, expires_at_ms=0
    )
    await world.stores.ownership.prepare(2)
    await world.stores.ownership.join(host, 6_000)
    await world.stores.ownership.claim(0, "h", "1")
    world.clock.advance(1_000)
    assert (await world.client.get("/ready")).json()["detail"] == "1 shards have no living owner"
    await world.stores.ownership.claim(1, "h", "1")
    world.clock.advance(1_000)
    assert (await world.client.get("/ready")).status_code == 200
    world.clock.advance(10_000)
    assert (await world.client.get("/ready")).status_code == 503
