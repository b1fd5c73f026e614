"""Accounts and sessions over HTTP."""

import asyncio
import time
from pathlib import Path

import msgspec
import pytest

from cluster.errors import HostUnreachable
from serve.auth import service_tokens
from serve.auth.principal import Role, is_account_id
from serve.auth.tokens import signer_of
from serve.deps import EntityRefs
from tests.http_app import PASSWORD, World, bearer, open_world, settings_for_tests


async def test_registering_gives_a_user_and_a_session(world: World) -> None:
    session = await world.register("Test@Example.COM")
    assert session["user"]["id"].startswith("usr_")
    assert session["user"]["role"] == "customer"
    assert session["token_type"] == "Bearer"
    assert session["expires_in"] == 900
    profile = await world.client.get("/api/v1/users/profile", headers=bearer(session["token"]))
    assert profile.status_code == 200
    assert profile.json() == session["user"]


async def test_an_address_has_one_account_whatever_its_case(world: World) -> None:
    await world.register("a.b@example.com")
    answer = await world.client.post(
        "/api/v1/auth/register",
        json={"email": "A.B@EXAMPLE.com", "password": PASSWORD, "first_name": "A", "last_name": "B"},
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "email-taken")
    assert (await world.login("A.B@example.COM")).status_code == 200


@pytest.mark.parametrize("email", ["admin@ecommerce.local", "x@sub.host.local", "grüße@example.com"])
async def test_these_addresses_are_accepted(world: World, email: str) -> None:
    assert (await world.register(email))["user"]["email"] == email


@pytest.mark.parametrize(
    "email", ["", "a", "a@b", "@example.com", "a b@example.com", "a@.local", "a@-x.local", "local"]
)
async def test_these_addresses_are_refused_without_being_repeated(world: World, email: str) -> None:
    answer = await world.client.post(
        "/api/v1/auth/register", json={"email": email, "password": PASSWORD, "first_name": "A", "last_name": "B"}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/email"
    assert len(email) < 3 or email not in answer.json()["errors"][0]["detail"] or email == "local"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("password", "1234567"),
        ("password", "x" * 73),
        ("password", "ü" * 37),
        ("first_name", ""),
        ("first_name", "   "),
        ("last_name", "x" * 101),
        ("last_name", "a\nb"),
    ],
)
async def test_bad_registrations_name_the_field(world: World, field: str, value: str) -> None:
    body = {"email": "a@example.com", "password": PASSWORD, "first_name": "A", "last_name": "B", field: value}
    answer = await world.client.post("/api/v1/auth/register", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{field}"]


async def test_72_bytes_of_password_are_all_used(world: World) -> None:
    await world.register("long@example.com", "ü" * 36)
    assert (await world.login("long@example.com", "ü" * 36)).status_code == 200
    assert (await world.login("long@example.com", "ü" * 36 + "x")).status_code == 401
    assert (await world.login("long@example.com", "ü" * 35 + "xx")).status_code == 401


async def test_a_wrong_password_and_an_unknown_account_look_the_same(world: World) -> None:
    await world.register("known@example.com")
    wrong = await world.login("known@example.com", "not the one")
    unknown = await world.login("unknown@example.com", "not the one")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()


async def test_validate_reads_the_header_or_the_body(world: World) -> None:
    session = await world.register()
    by_header = await world.client.post("/api/v1/auth/validate", headers=bearer(session["token"]))
    by_body = await world.client.post("/api/v1/auth/validate", json={"token": session["token"]})
    assert by_header.status_code == 200
    assert by_header.json() == by_body.json()
    assert by_header.json() == {
        "valid": True,
        "user_id": session["user"]["id"],
        "email": "test@example.com",
        "role": "customer",
        "expires_at": "2027-01-15T08:15:00.000Z",
    }
    assert (await world.client.post("/api/v1/auth/validate")).status_code == 401
    assert (await world.client.post("/api/v1/auth/validate", json={"token": "x"})).status_code == 401


async def test_names_can_be_changed(world: World) -> None:
    headers = bearer((await world.register())["token"])
    answer = await world.client.put(
        "/api/v1/users/profile", json={"first_name": "Ada", "last_name": "<script>alert(1)</script>"}, headers=headers
    )
    assert answer.status_code == 200
    assert answer.json()["last_name"] == "<script>alert(1)</script>"
    assert (await world.client.get("/api/v1/users/profile", headers=headers)).json() == answer.json()


async def test_a_refresh_token_works_once_and_rotates(world: World) -> None:
    first = await world.register()
    second = await world.client.post("/api/v1/auth/refresh", json={"refresh_token": first["refresh_token"]})
    assert second.status_code == 200
    assert second.json()["refresh_token"] != first["refresh_token"]
    third = await world.client.post("/api/v1/auth/refresh", json={"refresh_token": second.json()["refresh_token"]})
    assert third.status_code == 200


async def test_reusing_a_refresh_token_ends_its_family(world: World) -> None:
    first = await world.register()
    second = await world.client.post("/api/v1/auth/refresh", json={"refresh_token": first["refresh_token"]})
    reused = await world.client.post("/api/v1/auth/refresh", json={"refresh_token": first["refresh_token"]})
    assert reused.status_code == 401
    after = await world.client.post("/api/v1/auth/refresh", json={"refresh_token": second.json()["refresh_token"]})
    assert after.status_code == 401


async def test_another_login_is_another_family(world: World) -> None:
    first = await world.register()
    other = (await world.login("test@example.com")).json()
    for _ in range(2):
        await world.client.post("/api/v1/auth/refresh", json={"refresh_token": first["refresh_token"]})
    kept = await world.client.post("/api/v1/auth/refresh", json={"refresh_token": other["refresh_token"]})
    assert kept.status_code == 200


async def test_a_refresh_token_expires(world: World) -> None:
    session = await world.register()
    world.clock.advance(2_592_000_000)
    answer = await world.client.post("/api/v1/auth/refresh", json={"refresh_token": session["refresh_token"]})
    assert answer.status_code == 401


async def test_logging_out_revokes_the_refresh_token(world: World) -> None:
    session = await world.register()
    body = {"refresh_token": session["refresh_token"]}
    for _ in range(2):
        answer = await world.client.post("/api/v1/auth/logout", json=body, headers=bearer(session["token"]))
        assert (answer.status_code, answer.json()) == (200, {"logged_out": True})
    assert (await world.client.post("/api/v1/auth/refresh", json=body)).status_code == 401


async def test_another_account_cannot_log_one_out(world: World) -> None:
    mine = await world.register("mine@example.com")
    other = await world.register("other@example.com")
    await world.client.post("/api/v1/auth/logout", json={"refresh_token": "rt_guessed"}, headers=bearer(other["token"]))
    kept = await world.client.post("/api/v1/auth/refresh", json={"refresh_token": mine["refresh_token"]})
    assert kept.status_code == 200


async def test_changing_the_password_ends_older_tokens_on_every_replica(tmp_path: Path) -> None:
    async with (
        open_world(tmp_path) as world,
        open_world(tmp_path, stores=world.stores, clock=world.clock) as replica,
    ):
        old = await world.register()
        assert (await replica.client.get("/api/v1/users/profile", headers=bearer(old["token"]))).status_code == 200
        changed = await world.client.post(
            "/api/v1/users/change-password",
            json={"current_password": PASSWORD, "new_password": "another one"},
            headers=bearer(old["token"]),
        )
        assert changed.status_code == 200
        assert (await world.client.get("/api/v1/users/profile", headers=bearer(old["token"]))).status_code == 401
        world.clock.advance(1_000)
        for place in (world, replica):
            assert (await place.client.get("/api/v1/users/profile", headers=bearer(old["token"]))).status_code == 401
            new = bearer(changed.json()["token"])
            assert (await place.client.get("/api/v1/users/profile", headers=new)).status_code == 200
        refreshed = await world.client.post("/api/v1/auth/refresh", json={"refresh_token": old["refresh_token"]})
        assert refreshed.status_code == 401
        assert (await world.login("test@example.com")).status_code == 401
        assert (await world.login("test@example.com", "another one")).status_code == 200


async def test_a_wrong_current_password_changes_nothing(world: World) -> None:
    session = await world.register()
    answer = await world.client.post(
        "/api/v1/users/change-password",
        json={"current_password": "wrong", "new_password": "another one"},
        headers=bearer(session["token"]),
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "wrong-password")
    assert (await world.login("test@example.com")).status_code == 200


async def test_two_changes_at_once_have_one_winner(world: World) -> None:
    session = await world.register()
    answers = await asyncio.gather(
        *(
            world.client.post(
                "/api/v1/users/change-password",
                json={"current_password": PASSWORD, "new_password": f"new password {n}"},
                headers=bearer(session["token"]),
            )
            for n in range(2)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 400]


async def test_events_of_accounts_carry_neither_address_nor_password(world: World) -> None:
    session = await world.register("canary@example.com", "canary password")
    await world.client.post(
        "/api/v1/users/change-password",
        json={"current_password": "canary password", "new_password": "canary two!"},
        headers=bearer(session["token"]),
    )
    rows = await world.stores.outboxes["users"].read(10)
    assert [(row.event.type, row.event.version) for row in rows] == [
        ("user.registered", 1),
        ("user.password_changed", 2),
    ]
    for row in rows:
        assert b"canary" not in msgspec.json.encode(row.event) + row.event.body
        assert row.event.entity_id == session["user"]["id"]


async def login_with_cart(tmp_path: Path, cart_id: str, fault: Exception | None = None) -> list[tuple[str, bool]]:
    merged: list[tuple[str, bool]] = []

    async def merge(_refs: EntityRefs, source: str, user_id: str) -> None:
        merged.append((source, is_account_id(user_id)))
        if fault is not None:
            raise fault

    async with open_world(tmp_path, merge_cart=merge) as world:
        await world.register()
        body = {"email": "test@example.com", "password": PASSWORD, "cart_id": cart_id}
        answer = await world.client.post("/api/v1/auth/login", json=body)
        assert answer.status_code == (422 if is_account_id(cart_id) else 200)
    return merged


async def test_login_takes_the_guest_cart_along(tmp_path: Path) -> None:
    assert await login_with_cart(tmp_path, "user_123") == [("user_123", True)]


async def test_a_cart_that_cannot_be_reached_does_not_stop_a_login(tmp_path: Path) -> None:
    assert await login_with_cart(tmp_path, "user_123", HostUnreachable()) == [("user_123", True)]


async def test_another_account_s_cart_cannot_be_taken_along(tmp_path: Path) -> None:
    assert await login_with_cart(tmp_path, "usr_0123") == []


async def test_a_service_token_is_a_service(tmp_path: Path) -> None:
    settings = settings_for_tests(tmp_path)
    token = service_tokens.issue("warehouse", settings)
    claims = signer_of(settings).verify(token, time.time_ns() // 1_000_000)
    assert (claims.subject, claims.role) == ("svc_warehouse", Role.SERVICE)
    with pytest.raises(ValueError, match="name"):
        service_tokens.issue("../admin", settings)


async def test_a_service_has_no_profile(world: World) -> None:
    token = signer_of(world.settings).issue(subject="svc_x", role=Role.SERVICE, now_ms=world.clock.now_ms(), ttl_s=60)
    answer = await world.client.get("/api/v1/users/profile", headers=bearer(token))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
