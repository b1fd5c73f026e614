"""Passwords, logins and refresh tokens: what a thief or a guesser must not get out of them."""

import asyncio
import threading
import unicodedata
from pathlib import Path

import bcrypt
import pytest

from serve.auth.passwords import PasswordHasher
from serve.auth.rate_limits import account_key, address_key
from tests.http_app import PASSWORD, World, bearer, open_world

REFRESH = "/api/v1/auth/refresh"
CHANGE = "/api/v1/users/change-password"


async def refresh(world: World, token: str) -> int:
    return (await world.client.post(REFRESH, json={"refresh_token": token})).status_code


async def test_of_five_refreshes_at_once_one_wins_and_its_family_ends(world: World) -> None:
    session = await world.register()
    body = {"refresh_token": session["refresh_token"]}
    answers = await asyncio.gather(*(world.client.post(REFRESH, json=body) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]
    (winner,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert await refresh(world, winner["refresh_token"]) == 401, "whoever of the five was the thief has nothing"


async def test_a_family_that_ends_while_a_token_is_renewed_stays_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reuse is found out between the winner's mark and the winner's new token: the worst moment."""
    session = await world.register()
    add = type(world.stores.users).add_refresh

    async def reused_meanwhile(self: object, token: object) -> None:
        monkeypatch.undo()
        assert await refresh(world, session["refresh_token"]) == 401
        await add(self, token)  # type: ignore[arg-type]

    monkeypatch.setattr("persistence.memory.users.MemoryUsers.add_refresh", reused_meanwhile)
    renewed = await world.client.post(REFRESH, json={"refresh_token": session["refresh_token"]})
    assert renewed.status_code == 200
    assert await refresh(world, renewed.json()["refresh_token"]) == 401


async def test_logging_out_ends_every_token_of_the_login(world: World) -> None:
    first = await world.register()
    second = (await world.client.post(REFRESH, json={"refresh_token": first["refresh_token"]})).json()
    third = (await world.client.post(REFRESH, json={"refresh_token": second["refresh_token"]})).json()
    other = (await world.login("test@example.com")).json()
    await world.client.post(
        "/api/v1/auth/logout", json={"refresh_token": first["refresh_token"]}, headers=bearer(third["token"])
    )
    assert await refresh(world, third["refresh_token"]) == 401
    assert await refresh(world, other["refresh_token"]) == 200


async def test_a_changed_password_ends_refresh_tokens_at_once_and_access_tokens_within_a_second(
    world: World,
) -> None:
    first = await world.register()
    second = (await world.login("test@example.com")).json()
    body = {"current_password": PASSWORD, "new_password": "battery staple"}
    changed = await world.client.post(CHANGE, json=body, headers=bearer(first["token"]))
    assert changed.status_code == 200
    for old in (first, second):
        assert await refresh(world, old["refresh_token"]) == 401
    world.clock.advance(1_000)
    for old in (first, second):
        answer = await world.client.get("/api/v1/users/profile", headers=bearer(old["token"]))
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid-token")
    assert await refresh(world, changed.json()["refresh_token"]) == 200


async def test_a_token_of_one_kind_is_no_token_of_another(world: World) -> None:
    session = await world.register()
    as_access = await world.client.get("/api/v1/users/profile", headers=bearer(session["refresh_token"]))
    assert as_access.status_code == 401
    assert await refresh(world, session["token"]) in {401, 422}
    body = {"token": session["refresh_token"]}
    assert (await world.client.post("/api/v1/auth/validate", json=body)).status_code == 401


async def test_a_password_is_hashed_for_an_unknown_account_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.register("known@example.com")
    rounds: list[bytes] = []
    hashpw = bcrypt.hashpw

    def counted(password: bytes, salt: bytes) -> bytes:
        rounds.append(salt[:7])
        return hashpw(password, salt)

    monkeypatch.setattr("bcrypt.hashpw", counted)
    answers = [
        await world.login(email, "wrong password")
        for email in ("known@example.com", "unknown@example.com", "no address")
    ]
    assert rounds == [b"$2b$04$"] * 3, "the same work, whether or not there is such an account"
    assert {(answer.status_code, answer.text) for answer in answers} == {(401, answers[0].text)}
    names = [{name for name in answer.headers if name != "x-request-id"} for answer in answers]
    assert names[0] == names[1] == names[2]


async def test_hashing_leaves_the_event_loop_free_and_a_full_queue_is_503(tmp_path: Path) -> None:
    go, begun = threading.Event(), threading.Event()

    async with open_world(tmp_path, auth_bcrypt_threads_max=1, auth_bcrypt_queue_max=1) as world:
        hasher = world.app.state.services.passwords
        hash_now = hasher._hash

        def held_up(password: bytes, salt: bytes | None) -> bytes:
            begun.set()
            go.wait(10)
            return bytes(hash_now(password, salt))

        hasher._hash = held_up
        waiting = [asyncio.create_task(world.login(f"u{number}@example.com")) for number in range(2)]
        await asyncio.to_thread(begun.wait, 10)
        refused = await world.login("u3@example.com")
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        assert (await world.client.get("/api/v1/categories")).status_code == 200
        assert not any(task.done() for task in waiting)
        go.set()
        assert [(await task).status_code for task in waiting] == [401, 401]


async def test_a_password_is_the_same_however_its_letters_are_composed(world: World) -> None:
    composed, decomposed = (unicodedata.normalize(form, "pässwörter ñ") for form in ("NFC", "NFD"))
    assert composed != decomposed
    await world.register("a@example.com", decomposed)
    assert (await world.login("a@example.com", composed)).status_code == 200
    assert (await world.login("a@example.com", "passworter n")).status_code == 401


@pytest.mark.parametrize(
    ("password", "status"),
    [
        ("1234567", 422),
        ("12345678", 201),
        ("x" * 72, 201),
        ("x" * 73, 422),
        ("ü" * 36, 201),
        ("ü" * 36 + "x", 422),
        ("\N{PILE OF POO}" * 18, 201),
        ("\N{PILE OF POO}" * 19, 422),
        ("with\x00nul in it", 422),
        ("        ", 201),
    ],
)
async def test_the_bounds_of_a_password(world: World, password: str, status: int) -> None:
    body = {"email": "a@example.com", "password": password, "first_name": "A", "last_name": "B"}
    answer = await world.client.post("/api/v1/auth/register", json=body)
    assert answer.status_code == status
    if status == 201:
        assert (await world.login("a@example.com", password)).status_code == 200
        assert (await world.login("a@example.com", password + "x")).status_code == 401
    else:
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/password"]
    changed = await world.client.post(
        CHANGE,
        json={"current_password": PASSWORD, "new_password": password},
        headers=bearer((await world.register("b@example.com"))["token"]),
    )
    assert changed.status_code == (200 if status == 201 else 422)


async def test_a_hash_is_compared_as_a_whole() -> None:
    hasher = PasswordHasher(rounds=4, threads_max=1, queue_max=4)
    stored = await hasher.hash("x" * 72)
    assert await hasher.matches("x" * 72, stored)
    assert not await hasher.matches("x" * 73, stored), "bcrypt alone would not look at the 73rd"
    assert not await hasher.matches("x" * 72, None)
    hasher.close()


SAME_ACCOUNT = [
    ("test@example.com", "TEST@EXAMPLE.COM"),
    ("grüße@example.com", "GRÜSSE@example.com"),
    ("zoë@example.com", unicodedata.normalize("NFD", "ZOË@example.com")),
    ("ada@münchen.example", "ada@xn--mnchen-3ya.example"),
    ("ada@xn--mnchen-3ya.example", "ADA@MÜNCHEN.example"),
]


@pytest.mark.parametrize(("one", "other"), SAME_ACCOUNT)
async def test_two_spellings_of_an_address_are_one_account(world: World, one: str, other: str) -> None:
    await world.register(one)
    assert (await world.login(other)).status_code == 200
    body = {"email": other, "password": PASSWORD, "first_name": "A", "last_name": "B"}
    again = await world.client.post("/api/v1/auth/register", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "email-taken")


async def test_spelling_an_address_anew_gives_no_further_attempts(world: World) -> None:
    await world.register("ada@münchen.example")
    spellings = ["ada@münchen.example", "ADA@xn--mnchen-3ya.example"]
    statuses = [(await world.login(spellings[number % 2], "wrong")).status_code for number in range(11)]
    assert statuses == [401] * 10 + [429]


async def test_an_account_is_not_locked_for_its_owner_for_good(world: World) -> None:
    await world.register()
    for _ in range(50):
        refused = await world.login("test@example.com", "wrong")
    assert refused.status_code == 429
    world.clock.advance(1_000 * int(refused.headers["retry-after"]))
    assert (await world.login("test@example.com")).status_code == 200


async def test_a_session_that_is_open_goes_on_while_its_account_is_attacked(world: World) -> None:
    session = await world.register()
    for _ in range(11):
        await world.login("test@example.com", "wrong")
    assert (await world.client.get("/api/v1/users/profile", headers=bearer(session["token"]))).status_code == 200
    assert await refresh(world, session["refresh_token"]) == 200


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("unknown", "unknown", True),
    ],
)
def test_a_network_of_ipv6_counts_as_one_address(one: str, other: str, same: bool) -> None:
    assert (address_key(one) == address_key(other)) == same


def test_the_limiter_keeps_no_addresses_of_accounts() -> None:
    assert "ada" not in account_key("ada@example.com")
    assert account_key("ada@example.com") != account_key("bob@example.com")
    assert len(account_key("x" * 10_000)) < 64
