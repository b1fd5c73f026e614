"""Rate limits, and the cap on password work."""

import asyncio
from pathlib import Path

import pytest

from serve.auth.passwords import PasswordHasher
from serve.auth.rate_limits import KEYS_MAX, SlidingWindows
from serve.errors import Problem
from tests.http_app import FakeClock, World, bearer, open_world


async def test_ten_logins_a_minute_for_an_account_whether_or_not_it_exists(world: World) -> None:
    await world.register()
    for email in ("test@example.com", "nobody@example.com"):
        for _ in range(10):
            assert (await world.login(email, "wrong")).status_code == 401
        refused = await world.login(email.upper(), "wrong")
        assert (refused.status_code, refused.json()["code"]) == (429, "rate-limited")
        assert 1 <= int(refused.headers["retry-after"]) <= 120


async def test_the_limit_passes_by_itself(world: World) -> None:
    await world.register()
    for _ in range(11):
        refused = await world.login("test@example.com", "wrong")
    world.clock.advance(1_000 * int(refused.headers["retry-after"]))
    assert (await world.login("test@example.com")).status_code == 200


async def test_a_success_gives_the_attempts_back(world: World) -> None:
    await world.register()
    for _ in range(4):
        for _ in range(9):
            assert (await world.login("test@example.com", "wrong")).status_code == 401
        assert (await world.login("test@example.com")).status_code == 200


async def test_sixty_logins_a_minute_for_an_address(world: World) -> None:
    answers = [(await world.login(f"u{n}@example.com", "wrong")).status_code for n in range(61)]
    assert answers == [401] * 60 + [429]


async def test_guessing_by_change_password_is_limited_too(world: World) -> None:
    headers = bearer((await world.register())["token"])
    body = {"current_password": "wrong", "new_password": "another one"}
    statuses = [
        (await world.client.post("/api/v1/users/change-password", json=body, headers=headers)).status_code
        for _ in range(11)
    ]
    assert statuses == [400] * 10 + [429]


async def test_the_general_limit_counts_by_principal_or_address(tmp_path: Path) -> None:
    async with open_world(tmp_path, limits_requests_per_10s=5) as world:
        headers = bearer((await world.register())["token"])
        for _ in range(4):
            assert (await world.client.get("/api/v1/categories")).status_code == 200
        refused = await world.client.get("/api/v1/categories")
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        assert int(refused.headers["retry-after"]) >= 1
        assert (await world.client.get("/api/v1/users/profile", headers=headers)).status_code == 200
        assert (await world.client.get("/health")).status_code == 200


async def test_limits_can_be_off_by_an_explicit_flag(tmp_path: Path) -> None:
    async with open_world(tmp_path, limits_requests_per_10s=1, limits_enabled=False) as world:
        for _ in range(5):
            assert (await world.client.get("/api/v1/categories")).status_code == 200


def test_a_window_never_admits_more_than_its_limit() -> None:
    clock = FakeClock(at_ms=59_000)
    limiter = SlidingWindows(clock.now_ms)
    admitted: list[int] = []
    for _ in range(240):
        if limiter.hit("k", 10, 60_000) == 0:
            admitted.append(clock.at_ms)
        clock.advance(500)
    for start in admitted:
        # Weighting assumes an even spread within the last window; the error is one admission at most here.
        assert sum(start <= at < start + 60_000 for at in admitted) <= 11


def test_the_wait_is_long_enough() -> None:
    clock = FakeClock(at_ms=30_000)
    limiter = SlidingWindows(clock.now_ms)
    for _ in range(200):
        wait_ms = limiter.hit("k", 10, 60_000)
        if wait_ms:
            clock.advance(wait_ms)
            assert limiter.hit("k", 10, 60_000) == 0


def test_keys_are_bounded() -> None:
    limiter = SlidingWindows(FakeClock().now_ms)
    for number in range(KEYS_MAX + 10):
        limiter.hit(str(number), 1, 1_000)
    assert len(limiter._tables[1_000]) == KEYS_MAX


async def test_password_work_beyond_the_queue_is_503_at_once() -> None:
    hasher = PasswordHasher(rounds=4, threads_max=1, queue_max=2)
    answers = await asyncio.gather(*(hasher.hash("password") for _ in range(6)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, Problem)]
    assert [problem.code for problem in refused] == ["overloaded"] * 3
    assert isinstance(await hasher.hash("password"), str)
    hasher.close()


async def test_a_forwarded_address_counts_only_from_our_proxy(tmp_path: Path) -> None:
    async def refused_at(world: World) -> list[int]:
        return [
            (
                await world.client.get("/api/v1/categories", headers={"X-Forwarded-For": f"9.9.9.9, 10.0.0.{n}"})
            ).status_code
            for n in range(3)
        ]

    async with open_world(tmp_path, limits_requests_per_10s=1) as world:
        assert await refused_at(world) == [200, 429, 429]
    async with open_world(tmp_path, limits_requests_per_10s=1, http_trusted_proxies="127.0.0.0/8") as world:
        assert await refused_at(world) == [200, 200, 200]
        own_word = {"X-Forwarded-For": "1.2.3.4, 10.0.0.0"}
        assert (await world.client.get("/api/v1/categories", headers=own_word)).status_code == 429


@pytest.mark.parametrize("forwarded", ["nonsense", "", "1.2.3.4, <script>"])
async def test_a_forwarded_address_that_is_none_falls_back_to_the_peer(tmp_path: Path, forwarded: str) -> None:
    async with open_world(tmp_path, limits_requests_per_10s=1, http_trusted_proxies="127.0.0.1") as world:
        headers = {"X-Forwarded-For": forwarded}
        first = await world.client.get("/api/v1/categories", headers=headers)
        second = await world.client.get("/api/v1/categories")
        assert (first.status_code, second.status_code) == (200, 429)
