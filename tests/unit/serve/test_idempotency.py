"""Idempotency-Key and fingerprints, on a route made for the test."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from serve.answers import answer
from serve.auth.access import allow
from serve.auth.principal import Role, idempotency_principal
from serve.deps import Caller, ServicesOf
from serve.idempotency import ClientKey
from serve.route import service_router
from serve.schemas.base import CamelIn
from serve.shop.commands import identify
from tests.http_app import World, open_world


class Free(CamelIn):
    amount: Any = None
    note: Any = None


def router_for_tests() -> Any:
    router = service_router("test")

    @router.post("/test/{cart_id}")
    @allow(*Role)
    async def echo(
        request: Request, cart_id: str, body: Free, key: ClientKey, caller: Caller, services: ServicesOf
    ) -> Response:
        identity = identify(services, request, key, idempotency_principal(caller, cart_id))
        scope = identity.idempotency
        named = None if scope is None else [scope.principal, scope.route, scope.key, scope.fingerprint]
        return answer({"key": named, "command": identity.command_id})

    return router


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with open_world(tmp_path) as world:
        world.app.router.routes.extend(router_for_tests().routes)
        yield world.client


async def post(client: httpx.AsyncClient, body: str, path: str = "cart-1", key: str = "k") -> Any:
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    return (await client.post(f"/api/v1/test/{path}", content=body, headers=headers)).json()["key"]


async def test_the_scope_is_principal_route_and_key(client: httpx.AsyncClient) -> None:
    principal, route, key, _ = await post(client, "{}")
    assert (principal, route, key) == ("cart-1", "POST /api/v1/test/cart-1", "k")


async def test_without_a_key_there_is_no_scope_and_every_request_is_another_command(client: httpx.AsyncClient) -> None:
    one, other = [(await client.post("/api/v1/test/c", json={})).json() for _ in range(2)]
    assert one["key"] is other["key"] is None
    assert one["command"] != other["command"]


async def test_one_key_is_one_command_whatever_is_in_the_body(client: httpx.AsyncClient) -> None:
    async def command_of(path: str, key: str, body: str) -> str:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        return str((await client.post(f"/api/v1/test/{path}", content=body, headers=headers)).json()["command"])

    one = await command_of("a", "k", "{}")
    assert await command_of("a", "k", '{"amount":1}') == one
    assert await command_of("a", "other", "{}") != one
    assert await command_of("b", "k", "{}") != one


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"amount":10,"note":"a"}', '{ "note" : "a", "amount": 10.00 }'),
        ('{"amount":1e1}', '{"amount":10}'),
        ('{"note":"\\u00e4"}', '{"note":"ä"}'),
    ],
)
async def test_spelling_does_not_matter(client: httpx.AsyncClient, one: str, other: str) -> None:
    assert await post(client, one) == await post(client, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"amount":10}', '{"amount":10.01}'),
        ('{"amount":1}', '{"amount":"1"}'),
        ('{"amount":1}', '{"amount":true}'),
        ('{"note":null}', "{}"),
        ('{"note":[1,2]}', '{"note":[2,1]}'),
        ('{"amount":"1"}', '{"amount":["1","number"]}'),
    ],
)
async def test_another_body_has_another_fingerprint(client: httpx.AsyncClient, one: str, other: str) -> None:
    assert (await post(client, one))[3] != (await post(client, other))[3]


async def test_another_path_has_another_fingerprint(client: httpx.AsyncClient) -> None:
    assert (await post(client, "{}", "a"))[3] != (await post(client, "{}", "b"))[3]


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ä".encode().decode("latin-1"), "tab\there"])
async def test_unacceptable_keys_are_422(client: httpx.AsyncClient, key: str) -> None:
    answered = await client.post("/api/v1/test/c", json={}, headers=[("Idempotency-Key", key.encode("latin-1"))])  # type: ignore[list-item]
    assert (answered.status_code, answered.json()["code"]) == (422, "invalid-idempotency-key")


async def test_two_keys_are_422(client: httpx.AsyncClient) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    assert (await client.post("/api/v1/test/c", json={}, headers=headers)).status_code == 422


async def test_255_characters_are_a_key(client: httpx.AsyncClient) -> None:
    assert (await post(client, "{}", key="~" * 255))[2] == "~" * 255


async def test_a_replay_says_so(world: World) -> None:
    del world
    assert answer({}, replayed=True).headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in answer({}).headers
