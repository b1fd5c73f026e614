"""Which requests have a line in the log."""

import asyncio
from pathlib import Path

import pytest
import structlog

from serve.middleware.request_log import LINES_PER_S_MAX, RequestLog
from tests.http_app import World, open_world


async def test_requests_as_they_should_be_are_not_logged(world: World) -> None:
    with structlog.testing.capture_logs() as logs:
        for path in ("/ready", "/api/v1/products", "/api/v1/products/none"):
            await world.client.get(path)
    assert logs == []


async def test_a_request_that_was_not_served_is_logged_by_its_route(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_self: object, *_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr("persistence.memory.catalog.MemoryCatalog.product", away)
    with structlog.testing.capture_logs() as logs:
        answer = await world.client.get("/health", headers={"X-Request-Id": "req-9"})
    assert answer.status_code == 503
    (line,) = logs
    assert line.pop("took_ms") >= 0
    assert line == {
        "event": "request_not_served", "log_level": "warning", "request_id": "req-9",
        "method": "GET", "route": "/health", "status": 503,
    }  # fmt: skip


async def test_a_slow_request_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(tmp_path, http_slow_request_ms=30) as world:
        found = type(world.stores.catalog).product

        async def late(self: object, *arguments: object) -> object:
            await asyncio.sleep(0.05)
            return await found(self, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr("persistence.memory.catalog.MemoryCatalog.product", late)
        with structlog.testing.capture_logs() as logs:
            await world.client.get("/api/v1/products/none")
    (line,) = logs
    assert (line["event"], line["route"], line["status"]) == ("request_slow", "/api/v1/products/{product_id}", 404)
    assert line["took_ms"] >= 50


async def test_every_request_is_logged_if_asked_for(tmp_path: Path) -> None:
    async with open_world(tmp_path, http_log_requests=True) as world:
        with structlog.testing.capture_logs() as logs:
            await world.client.get("/api/v1/products?email=canary@example.com")
            await world.client.get("/api/v1/cart/canary@example.com")
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("request", "info")] * 2
    assert "canary" not in str(logs)


def test_a_storm_is_counted_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr("serve.middleware.request_log.time.monotonic", lambda: now_s)
    log = RequestLog(slow_ms=1_000, every=False)
    with structlog.testing.capture_logs() as logs:
        for number in range(LINES_PER_S_MAX + 7):
            log.note(str(number), "GET", "/", 503, 0.0)
        now_s = 101.0
        log.note("next", "GET", "/", 503, 0.0)
    assert len(logs) == LINES_PER_S_MAX + 2
    assert logs[-2] == {"event": "requests_not_logged", "log_level": "warning", "requests": 7}
