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
    assert [row.event for row in await stores.outboxes["users"].read(5)] == [event("usr_1")]


async def test_of_concurrent_registrations_with_one_email_one_wins(stores: Stores) -> None:
    adds = [stores.users.add(user(f"usr_{n}", "ADA@example.com"), event(f"usr_{n}")) for n in range(5)]
    results = await asyncio.gather(*adds, return_exceptions=True)
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, AlreadyExists) for result in results) == 4
    assert len(await stores.outboxes["users"].read(9)) == 1


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
    assert [row.event.version for row in await stores.outboxes["users"].read(5)] == [1, 2]


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


async def test_a_token_that_is_added_to_a_dropped_family_is_no_use(stores: Stores) -> None:
    await stores.users.add(user(), event("usr_1"))
    await stores.users.add_refresh(token("h1", "f1"))
    await stores.users.drop_family("f1")
    await stores.users.drop_family("f1")
    await stores.users.add_refresh(token("h2", "f1"))
    assert await stores.users.use_refresh("h2", 5) is None


async def test_a_role_is_changed_and_ends_the_tokens(stores: Stores) -> None:
    await stores.users.add(user(), event("usr_1"))
    await stores.users.add_refresh(token())
    with pytest.raises(StaleVersion):
        await stores.users.set_role("usr_1", 2, "admin", event("usr_1", 2))
    with pytest.raises(StaleVersion):
        await stores.users.set_role("usr_2", 1, "admin", event("usr_2", 2))
    assert await stores.users.use_refresh("h1", 5) == token()
    await stores.users.set_role("usr_1", 1, "admin", event("usr_1", 2))
    assert await stores.users.by_id("usr_1") == msgspec.structs.replace(user(), role="admin", password_version=2)
    assert await stores.users.use_refresh("h1", 5) is None
    assert await stores.users.password_versions(["usr_1"]) == {"usr_1": 2}


ACCOUNTS = [
    ("usr_a", "ada@example.com", "admin", 3),
    ("usr_B", "Ada.B@example.com", "customer", 2),
    ("usr_b", "adam%_@example.com", "customer", 2),
    ("usr_c", "bob@example.com", "customer", 1),
    ("usr_d", "ädele@example.com", "customer", 4),
]


async def make_accounts(stores: Stores) -> None:
    for user_id, email, role, at_ms in ACCOUNTS:
        account = msgspec.structs.replace(user(user_id, email), role=role, created_at_ms=at_ms)
        await stores.users.add(account, event(user_id))


async def listed(stores: Stores, email: str | None = None, role: str | None = None) -> list[str]:
    page, cursor = await stores.users.list(email=email, role=role, limit=10, cursor=None)
    assert cursor is None
    return [account.id for account in page]


async def test_accounts_are_listed_newest_first(stores: Stores) -> None:
    await make_accounts(stores)
    assert await listed(stores) == ["usr_d", "usr_a", "usr_b", "usr_B", "usr_c"]


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("ada", ["usr_a", "usr_b", "usr_B"]),
        ("ada@example.com", ["usr_a"]),
        ("ada.b", ["usr_B"]),
        ("adam%", ["usr_b"]),
        ("adam_", []),
        ("a%", []),
        ("äd", ["usr_d"]),
        ("zz", []),
        ("' OR 1=1 --", []),
    ],
)
async def test_accounts_are_found_by_the_start_of_their_address(stores: Stores, prefix: str, found: list[str]) -> None:
    await make_accounts(stores)
    assert await listed(stores, prefix) == found


async def test_accounts_are_found_by_role(stores: Stores) -> None:
    await make_accounts(stores)
    assert await listed(stores, role="admin") == ["usr_a"]
    assert await listed(stores, "ada", "customer") == ["usr_b", "usr_B"]
    assert await listed(stores, role="root") == []


async def test_pages_of_accounts_join_without_gap_or_repeat(stores: Stores) -> None:
    await make_accounts(stores)
    seen: list[str] = []
    cursor = None
    for size in (2, 2, 1):
        page, cursor = await stores.users.list(email=None, role=None, limit=2, cursor=cursor)
        assert len(page) == size
        seen += [account.id for account in page]
    assert (seen, cursor) == (["usr_d", "usr_a", "usr_b", "usr_B", "usr_c"], None)


@pytest.mark.parametrize("cursor", ["x", "bm90", "WyJvcmRlcnMiLDEsIngiXQ"])
async def test_a_foreign_cursor_of_accounts_is_refused(stores: Stores, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        await stores.users.list(email=None, role=None, limit=2, cursor=cursor)
