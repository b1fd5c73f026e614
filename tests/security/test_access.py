"""Functions and fields that are not for everyone (BFLA, mass assignment), on the routes of auth, users and catalog."""

from typing import Any

import pytest

from serve.app import guarded_routes
from serve.auth.principal import Role
from tests.http_app import PASSWORD, World, bearer

ADMIN_ONLY = [
    ("POST", "/api/v1/products"),
    ("PUT", "/api/v1/products/prod-laptop-001"),
    ("DELETE", "/api/v1/products/prod-laptop-001"),
    ("POST", "/api/v1/categories"),
    ("PUT", "/api/v1/categories/audio"),
    ("DELETE", "/api/v1/categories/audio"),
]


@pytest.mark.parametrize(("method", "path"), ADMIN_ONLY)
async def test_managing_the_catalog_is_for_admins(world: World, method: str, path: str) -> None:
    assert (await world.client.request(method, path)).status_code == 401
    customer = await world.client.request(method, path, headers=await world.customer())
    assert (customer.status_code, customer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(("method", "path"), ADMIN_ONLY)
async def test_a_refused_caller_learns_nothing_about_the_body(world: World, method: str, path: str) -> None:
    answer = await world.client.request(method, f"{path}?x=1", content=b"{", headers=await world.customer())
    assert answer.status_code == 403


async def test_every_route_that_is_not_public_refuses_an_anonymous_caller(world: World) -> None:
    for route in guarded_routes(world.app):
        if route.access.public or Role.GUEST in route.access.roles:
            continue
        for method in route.methods or ():
            path = route.path.format_map(_AnyId())
            assert (await world.client.request(method, path)).status_code == 401, (method, path)


class _AnyId(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "x"


@pytest.mark.parametrize("field", ["role", "id", "status", "total", "created_at", "password_hash", "is_admin"])
async def test_fields_that_are_ours_are_refused(world: World, field: str) -> None:
    headers = bearer((await world.register())["token"])
    register: dict[str, Any] = {"email": "b@example.com", "password": PASSWORD, "first_name": "A", "last_name": "B"}
    bodies = {
        ("POST", "/api/v1/auth/register"): register,
        ("PUT", "/api/v1/users/profile"): {"first_name": "A", "last_name": "B"},
    }
    for (method, path), body in bodies.items():
        answer = await world.client.request(method, path, json={**body, field: "admin"}, headers=headers)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/{field}")


@pytest.mark.parametrize("value", [{"$ne": None}, {"$gt": ""}, ["a"], 1, True, None])
async def test_operators_in_place_of_text_are_422(world: World, value: object) -> None:
    answer = await world.client.post("/api/v1/auth/login", json={"email": value, "password": PASSWORD})
    assert answer.status_code == 422
    answer = await world.client.post("/api/v1/auth/login", json={"email": "a@example.com", "password": value})
    assert answer.status_code == 422


@pytest.mark.parametrize("text", ["' OR 1=1 --", '"; DROP TABLE users; --', "a@example.com' --", "%' OR '1'='1"])
async def test_sql_in_an_address_is_only_text(world: World, text: str) -> None:
    await world.register()
    assert (await world.login(text)).status_code == 401
