"""Accounts and refresh tokens."""

import asyncio

import msgspec
import pytest

from persistence.errors import AlreadyExists, StaleVersion, WriteRefused
from persistence.records import RefreshTokenRecord
from persistence.stores import Stores
from tests.contract.builders import NEVER_MS, event, user


def token(token_hash: str = "h1", family: str = "f1", user_id: str = "usr_1") -> RefreshTokenRecord:
    return RefreshTokenRecord(
        token_hash=token_hash,
        family=family,
        user_id=user_id,
        password_version=1,
        expires_at_ms=NEVER_MS,
        used_at_ms=None,
    )


async def test_an_account_comes_back_whole_with_its_event_in_the_outbox(stores: Stores) -> None:
    await stores.users.add(user(), event("usr_1"))
    assert await stores.users.by_id("usr_1") == user()
    assert await stores.users.by_email("ada@example.com") == user()
    assert await stores.users.by_email("Ada@Example.com") is None
    assert await stores.users.by_id("usr_2") is None
    assert [row.event for row in await stores.outboxes["users"].take(5)] == [event("usr_1")]


async def test_of_concurrent_registrations_with_one_email_one_wins(stores: Stores) -> None:
    adds = [stores.users.add(user(f"usr_{n}", "ADA@example.com"), event(f"usr_{n}")) for n in range(5)]
    results = await asyncio.gather(*adds, return_exceptions=True)
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, AlreadyExists) for result in results) == 4
    assert len(await stores.outboxes["users"].take(9)) == 1


async def test_names_are_changed(stores: Stores) -> None:
    await stores.users.add(user(), event("usr_1"))
    renamed = msgspec.structs.replace(user(), first_name="A", last_name="L")
    assert await stores.users.rename("usr_1", "A", "L") == renamed
    assert await stores.users.by_id("usr_1") == renamed
    assert await stores.users.rename("usr_2", "A", "L") is None


async def test_a_new_password_raises_the_version_and_drops_the_tokens(stores: Stores) -> None:
    await stores.users.add(user(), event("usr_1"))
    await stores.users.add_refresh(token())
    with pytest.raises(StaleVersion):
        await stores.users.set_password("usr_1", 2, "hash-2", event("usr_1", 2))
    assert await stores.users.use_refresh("h1", 5) == token()
    await stores.users.set_password("usr_1", 1, "hash-2", event("usr_1", 2))
    assert await stores.users.password_versions(["usr_1", "usr_2"]) == {"usr_1": 2}
    assert await stores.users.use_refresh("h1", 5) is None
    assert [row.event.version for row in await stores.outboxes["users"].take(5)] == [1, 2]


async def test_a_refresh_token_is_used_once_and_reuse_is_seen(stores: Stores) -> None:
    await stores.users.add(user(), event("usr_1"))
    await stores.users.add_refresh(token())
    uses = await asyncio.gather(*(stores.users.use_refresh("h1", 5) for _ in range(5)))
    marks = [use.used_at_ms for use in uses if use is not None]
    assert sorted(marks, key=str) == [5, 5, 5, 5, None]
    again = await stores.users.use_refresh("h1", 9)
    assert again is not None
    assert again.used_at_ms == 5
    assert await stores.users.use_refresh("h2", 5) is None


async def test_a_family_is_revoked_as_a_whole(stores: Stores) -> None:
    await stores.users.add(user(), event("usr_1"))
    for token_hash, family in (("h1", "f1"), ("h2", "f1"), ("h3", "f2")):
        await stores.users.add_refresh(token(token_hash, family))
    await stores.users.drop_family("f1")
    assert await stores.users.use_refresh("h1", 5) is None
    assert await stores.users.use_refresh("h2", 5) is None
    assert await stores.users.use_refresh("h3", 5) == token("h3", "f2")


async def test_a_refresh_token_needs_its_account_and_a_new_hash(stores: Stores) -> None:
    with pytest.raises(WriteRefused):
        await stores.users.add_refresh(token())
    await stores.users.add(user(), event("usr_1"))
    await stores.users.add_refresh(token())
    with pytest.raises(AlreadyExists):
        await stores.users.add_refresh(token())
