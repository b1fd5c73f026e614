"""A body has a time to arrive, whatever the ingress lets through."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from tests.http_app import open_world


async def test_a_body_that_does_not_come_to_its_end_is_408(tmp_path: Path) -> None:
    async def beginning() -> AsyncIterator[bytes]:
        yield b'{"email":'
        await asyncio.Event().wait()

    async with open_world(tmp_path, http_body_timeout_ms=100) as world, asyncio.timeout(5):
        answer = await world.client.post(
            "/api/v1/auth/login", content=beginning(), headers={"Content-Type": "application/json"}
        )
    assert answer.status_code == 408
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert answer.json()["code"] == "request-timeout"


async def test_bytes_that_trickle_in_do_not_prolong_it(tmp_path: Path) -> None:
    trickled = 0

    async def trickle() -> AsyncIterator[bytes]:
        nonlocal trickled
        while True:
            trickled += 1
            yield b" "
            await asyncio.sleep(0.02)

    async with open_world(tmp_path, http_body_timeout_ms=200) as world, asyncio.timeout(5):
        answer = await world.client.post(
            "/api/v1/auth/login", content=trickle(), headers={"Content-Type": "application/json"}
        )
    assert answer.status_code == 408
    assert trickled < 20
