"""What browsers are told: whose pages may call, and that nothing of ours may be framed, sniffed or scripted."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from serve.app import guarded_routes
from tests.http_app import World, open_world
from tests.security.access_matrix import ENTRIES

SHOP = "https://shop.example"
ALLOW = "access-control-allow-origin"


@pytest.fixture
async def listed(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, http_cors_origins=f"{SHOP}, https://admin.example:8443") as world:
        yield world


@pytest.mark.parametrize("path", ["/health", "/api/v1/users/profile", "/api/v1/no-such-route"])
@pytest.mark.parametrize("origin", [SHOP, "https://admin.example:8443"])
async def test_a_listed_origin_may_read_every_answer_refusals_too(listed: World, path: str, origin: str) -> None:
    answer = await listed.client.get(path, headers={"Origin": origin})
    assert answer.headers[ALLOW] == origin
    assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-credentials" not in answer.headers
    assert "Retry-After" in answer.headers["access-control-expose-headers"]


OTHERS = [
    "https://shop.example.evil",
    "https://evil-shop.example",
    "https://sub.shop.example",
    "http://shop.example",
    "https://shop.example:444",
    "https://shop.example/",
    "https://SHOP.example",
    "https://admin.example",
    "null",
    "*",
    "",
]


@pytest.mark.parametrize("origin", OTHERS)
async def test_any_other_origin_may_not(listed: World, origin: str) -> None:
    got = await listed.client.get("/health", headers={"Origin": origin})
    asked = await listed.client.options(
        "/api/v1/orders", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
    )
    for answer in (got, asked):
        assert not any(name.startswith("access-control-") for name in answer.headers)


async def test_without_a_list_no_origin_may(world: World) -> None:
    answer = await world.client.get("/health", headers={"Origin": SHOP})
    assert ALLOW not in answer.headers


async def test_a_preflight_names_methods_and_headers_and_no_wildcard(listed: World) -> None:
    asked = await listed.client.options(
        "/api/v1/orders", headers={"Origin": SHOP, "Access-Control-Request-Method": "POST"}
    )
    assert asked.status_code == 204
    assert asked.headers[ALLOW] == SHOP
    assert "*" not in asked.headers["access-control-allow-methods"] + asked.headers["access-control-allow-headers"]
    used = {method for method, _ in ENTRIES}
    assert used <= set(asked.headers["access-control-allow-methods"].split(", "))
    needed = {"Authorization", "Content-Type", "Idempotency-Key", "If-Match", "X-Cart-Id"}
    assert needed <= set(asked.headers["access-control-allow-headers"].split(", "))


async def test_every_answer_of_every_route_has_the_headers(world: World) -> None:
    for route in guarded_routes(world.app):
        for method in route.methods or ():
            answer = await world.client.request(method, route.path.replace("{", "").replace("}", ""), json={})
            headers = answer.headers
            assert headers["x-content-type-options"] == "nosniff", route.path
            assert headers["x-frame-options"] == "DENY", route.path
            assert headers["referrer-policy"] == "no-referrer", route.path
            assert headers["cache-control"] == "no-store", route.path
            assert "strict-transport-security" not in headers, "development has no TLS"
            policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
            assert policy["default-src"] == "'none'", route.path
            assert policy["frame-ancestors"] == "'none'", route.path
            assert policy["base-uri"] == "'none'", route.path
            assert not {"'unsafe-inline'", "'unsafe-eval'", "*"} & set(" ".join(policy.values()).split()), route.path


async def test_hsts_in_production_on_refusals_too(tmp_path: Path) -> None:
    async with open_world(tmp_path, env="production") as world:
        for path in ("/health", "/api/v1/users/profile", "/nope"):
            assert (await world.client.get(path)).headers["strict-transport-security"].startswith("max-age=31536000")


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/metrics", "/dev/mail", "/dev/mail/x", "/dev/mail/x/html"])
async def test_what_is_private_in_production_is_not_there(tmp_path: Path, path: str) -> None:
    async with open_world(tmp_path, env="production") as world:
        answer = await world.client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_no_answer_sets_a_cookie(world: World) -> None:
    """Tokens are headers, so a page of somebody else's cannot use them: there is nothing to forge a request with."""
    session = await world.client.post(
        "/api/v1/auth/register",
        json={"email": "a@example.com", "password": "correct horse", "first_name": "A", "last_name": "B"},
    )
    assert session.status_code == 201
    assert "set-cookie" not in session.headers
    cookie = {"Cookie": f"token={session.json()['token']}; Authorization=Bearer {session.json()['token']}"}
    assert (await world.client.get("/api/v1/users/profile", headers=cookie)).status_code == 401
