"""What a page of another origin may send and read: everything that the API uses."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from serve.app import guarded_routes
from tests.http_app import World, open_world

SHOP = "https://shop.example"


@pytest.fixture
async def listed(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, http_cors_origins=SHOP) as world:
        yield world


async def test_every_method_and_header_of_the_api_may_be_sent(listed: World) -> None:
    used = {name for route in guarded_routes(listed.app) for name in _header_names(route)}
    used |= {"authorization", "content-type", "idempotency-key", "if-match", "x-request-id", "traceparent"}
    used -= {"stripe-signature"}  # no browser sends that
    methods = {method for route in guarded_routes(listed.app) for method in route.methods or ()}
    for method in methods:
        asked = await listed.client.options(
            "/api/v1/orders",
            headers={
                "Origin": SHOP,
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": ", ".join(sorted(used)),
            },
        )
        assert asked.status_code == 204
        assert method in asked.headers["access-control-allow-methods"].split(", ")
        assert used <= set(asked.headers["access-control-allow-headers"].lower().split(", "))
        assert asked.headers["access-control-max-age"] == "600"
        assert "access-control-allow-credentials" not in asked.headers


async def test_every_header_of_an_answer_that_means_something_may_be_read(listed: World) -> None:
    answer = await listed.client.get("/api/v1/products", headers={"Origin": SHOP})
    readable = set(answer.headers["access-control-expose-headers"].split(", "))
    assert readable == {"ETag", "Idempotent-Replayed", "Location", "Retry-After", "X-Request-Id"}


@pytest.mark.parametrize("origin", ["null", "https://shop.example.evil", "http://shop.example", "https://SHOP.example", "https://shop.example/", "*"])  # fmt: skip
async def test_only_the_exact_origin_may(listed: World, origin: str) -> None:
    asked = await listed.client.options(
        "/api/v1/orders", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
    )
    assert not [name for name in asked.headers if name.startswith("access-control-")]


def _header_names(route: object) -> set[str]:
    dependant = getattr(route, "dependant")  # noqa: B009 - typed as Any by the framework
    return {field.alias.lower() for field in dependant.header_params}
