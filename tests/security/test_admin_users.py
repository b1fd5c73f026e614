"""The list of all accounts: for administrators, without secrets, found by address and role."""

import unicodedata

import pytest

from serve.admin_accounts import AdminAccounts, NewAdmin
from serve.auth.principal import Role
from serve.sample_data import DEMO_ADMIN, DEMO_CUSTOMER
from tests.http_app import World, bearer

USERS = "/api/v1/admin/users"


async def emails(world: World, query: str, headers: dict[str, str]) -> list[str]:
    answer = await world.client.get(f"{USERS}{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return [user["email"] for user in answer.json()["data"]]


async def test_an_administrator_sees_all_accounts_without_their_secrets(world: World) -> None:
    headers = await world.admin()
    answer = await world.client.get(USERS, headers=headers)
    listed = answer.json()["data"]
    assert {user["email"] for user in listed} == {DEMO_ADMIN.email, DEMO_CUSTOMER.email}
    for user in listed:
        assert set(user) == {"id", "email", "first_name", "last_name", "role", "created_at"}
    stored = await world.stores.users.by_email(DEMO_ADMIN.email)
    assert stored is not None
    assert stored.password_hash not in answer.text


async def test_accounts_are_found_by_the_start_of_their_address_in_any_case(world: World) -> None:
    headers = await world.admin()
    await world.register("Straße@example.com")
    assert await emails(world, "?email=ADMIN@", headers) == [DEMO_ADMIN.email]
    assert await emails(world, f"?email={DEMO_CUSTOMER.email.upper()}", headers) == [DEMO_CUSTOMER.email]
    assert await emails(world, "?email=STRASSE", headers) == ["Straße@example.com"]
    assert await emails(world, "?email=%25", headers) == []
    assert await emails(world, "?role=admin", headers) == [DEMO_ADMIN.email]


async def test_pages_of_accounts(world: World) -> None:
    headers = await world.admin()
    for number in range(3):
        world.clock.advance(1)
        await world.register(f"u{number}@example.com")
    first = (await world.client.get(f"{USERS}?limit=2&email=u", headers=headers)).json()
    assert [user["email"] for user in first["data"]] == ["u2@example.com", "u1@example.com"]
    rest = await emails(world, f"?limit=2&email=u&cursor={first['meta']['nextCursor']}", headers)
    assert rest == ["u0@example.com"]


@pytest.mark.parametrize(
    "query", ["?role=root", "?role=service", "?limit=0", "?cursor=x", "?email=", "?email[$gt]=", "?email=a&email=b"]
)
async def test_a_bad_question_is_422(world: World, query: str) -> None:
    answer = await world.client.get(f"{USERS}{query}", headers=await world.admin())
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-fields")


async def test_nobody_else_sees_them(world: World) -> None:
    assert (await world.client.get(USERS)).status_code == 401
    assert (await world.client.get(USERS, headers=await world.customer())).status_code == 403


async def test_a_changed_role_counts_for_tokens_from_before_within_a_second(world: World) -> None:
    session = await world.register()
    headers = bearer(session["token"])
    assert (await world.client.get("/api/v1/users/profile", headers=headers)).status_code == 200
    assert await AdminAccounts(world.stores, bcrypt_rounds=4).change_role("TEST@example.com", Role.ADMIN)
    world.clock.advance(1_000)
    assert (await world.client.get("/api/v1/users/profile", headers=headers)).status_code == 401
    renewed = await world.client.post("/api/v1/auth/refresh", json={"refresh_token": session["refresh_token"]})
    assert renewed.status_code == 401
    assert not await AdminAccounts(world.stores, bcrypt_rounds=4).change_role("test@example.com", Role.ADMIN)
    again = bearer((await world.login("test@example.com")).json()["token"])
    assert (await world.client.get(USERS, headers=again)).status_code == 200


async def test_an_administrators_password_is_the_same_however_its_letters_are_composed(world: World) -> None:
    composed, decomposed = (unicodedata.normalize(form, "pässwörter ñ") for form in ("NFC", "NFD"))
    assert composed != decomposed
    new = NewAdmin.of("chief@example.com", decomposed, "Ada", "Example")
    await AdminAccounts(world.stores, bcrypt_rounds=4).create(new)
    assert (await world.login("chief@example.com", composed)).status_code == 200
