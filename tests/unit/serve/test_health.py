"""Health and readiness."""

import asyncio
from pathlib import Path

import pytest

from actors.notifier import Notifier
from persistence.errors import StoreUnavailable
from persistence.records import HostRow
from serve.health_checks import NOTIFIER
from tests.contract.builders import batch
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


async def test_health_names_every_store(world: World) -> None:
    assert (await world.client.get("/health")).json()["checks"]["memory"]["status"] == "healthy"


async def test_a_store_that_is_down_is_named_beside_the_services_that_live_on_it(world: World) -> None:
    async def down() -> None:
        raise StoreUnavailable("postgresql://user:secret@host")

    world.stores.probes["postgresql.carts"] = down
    async with open_world(world.settings.data_dir, stores=world.stores, clock=world.clock) as other:
        answer = await other.client.get("/health")
    assert answer.status_code == 503
    unhealthy = {name for name, check in answer.json()["checks"].items() if check["status"] == "unhealthy"}
    assert unhealthy == {"postgresql.carts"}
    assert "secret" not in answer.text


async def test_ready_and_health_differ(world: World) -> None:
    assert (await world.client.get("/health")).status_code == 200
    assert (await world.client.get("/ready")).status_code == 503


async def look(world: World, after_ms: int) -> dict[str, str]:
    world.clock.advance(after_ms)
    return dict((await world.client.get("/health")).json()["checks"]["notification"])


async def test_notification_is_unhealthy_while_events_wait_and_none_is_read(world: World) -> None:
    orders = world.stores.journals["orders"]
    cursors = world.stores.cursors["orders"]
    await orders.fence(1, 1)
    await orders.append([batch(events=3)])
    assert (await look(world, 0))["status"] == "healthy"
    assert (await look(world, 30_000))["status"] == "healthy"
    stuck = await look(world, 31_000)
    assert (stuck["status"], stuck["detail"]) == ("unhealthy", "3 events wait, and none was read for a minute")
    epoch, _ = await cursors.take(NOTIFIER)
    await cursors.advance(NOTIFIER, epoch, {1: 2})
    assert (await look(world, 5_001))["status"] == "healthy"
    assert (await look(world, 59_000))["status"] == "healthy"
    assert (await look(world, 5_001))["status"] == "unhealthy"
    await cursors.advance(NOTIFIER, epoch, {1: 3})
    assert (await look(world, 5_001))["status"] == "healthy"
    assert (await look(world, 600_000))["status"] == "healthy"


async def test_a_notifier_that_is_behind_and_gets_on_is_healthy(world: World) -> None:
    orders = world.stores.journals["orders"]
    cursors = world.stores.cursors["orders"]
    await orders.fence(1, 1)
    await orders.append([batch(events=100)])
    epoch, _ = await cursors.take(NOTIFIER)
    for seq in range(1, 12):
        await cursors.advance(NOTIFIER, epoch, {1: seq})
        assert (await look(world, 30_000))["status"] == "healthy"


def test_the_notifier_is_called_what_health_calls_it(world: World) -> None:
    assert Notifier(world.stores, world.clock.now_ms).name == NOTIFIER
