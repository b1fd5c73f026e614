"""What is old enough is forgotten, a bounded number at a time, and nothing else."""

import pytest

from persistence.postgres.database import Database
from persistence.records import ANSWER_SERVICES, AnswerService, IdempotencyRow, RefreshTokenRecord
from persistence.stores import Stores
from tests.contract.adapters import CARTS, stores_of
from tests.contract.builders import answer, batch, cart_write, event, user

ROUTE = "POST /x"


@pytest.fixture(params=CARTS)
def stores(request: pytest.FixtureRequest) -> Stores:
    return stores_of(request)


def given_at(at_ms: int) -> IdempotencyRow:
    row = answer(f"at-{at_ms}", route=ROUTE)
    return IdempotencyRow(**{name: getattr(row, name) for name in row.__struct_fields__} | {"at_ms": at_ms})


async def remember(stores: Stores, service: AnswerService, times_ms: range) -> None:
    rows = [given_at(at_ms) for at_ms in times_ms]
    if service == "carts":
        await stores.carts.save([cart_write("c1", idempotency=rows)])
        return
    await stores.journals[service].fence(1, 1)
    await stores.journals[service].append([batch(1, events=1, idempotency=rows)])


async def remembered(stores: Stores, service: AnswerService, times_ms: range) -> list[int]:
    store = stores.carts if service == "carts" else stores.journals[service]
    return [at_ms for at_ms in times_ms if await store.answer("usr_1", ROUTE, f"at-{at_ms}") is not None]


@pytest.mark.parametrize("service", ANSWER_SERVICES)
async def test_old_answers_go_oldest_first_and_young_ones_stay(stores: Stores, service: AnswerService) -> None:
    times_ms = range(1, 8)
    await remember(stores, service, times_ms)
    assert await stores.retention.forget_answers(service, 6, 3) == 3
    assert await remembered(stores, service, times_ms) == [4, 5, 6, 7]
    assert await stores.retention.forget_answers(service, 6, 3) == 2
    assert await stores.retention.forget_answers(service, 6, 3) == 0
    assert await remembered(stores, service, times_ms) == [6, 7]


async def test_services_are_apart(stores: Stores) -> None:
    for service in ANSWER_SERVICES:
        await remember(stores, service, range(1, 2))
    assert await stores.retention.forget_answers("orders", 9, 9) == 1
    assert [await remembered(stores, service, range(1, 2)) for service in ANSWER_SERVICES] == [[], [1], [1], [1]]


async def test_refresh_tokens_go_when_they_expired_long_ago(stores: Stores) -> None:
    await stores.users.add(user(), event("usr_1"))
    for expires_at_ms in (1, 2, 3):
        token = RefreshTokenRecord(
            token_hash=f"hash-{expires_at_ms}",
            family="f",
            user_id="usr_1",
            password_version=1,
            expires_at_ms=expires_at_ms,
            used_at_ms=None,
        )
        await stores.users.add_refresh(token)
    assert await stores.retention.forget_refresh(3, 1) == 1
    assert await stores.retention.forget_refresh(3, 10) == 1
    assert await stores.retention.forget_refresh(3, 10) == 0
    found = [await stores.users.use_refresh(f"hash-{n}", 0) for n in (1, 2, 3)]
    assert [token is not None for token in found] == [False, False, True]


@pytest.mark.postgres
async def test_families_that_ended_are_remembered_for_a_while(postgres_stores: Stores, database: Database) -> None:
    await postgres_stores.users.drop_family("old")
    await postgres_stores.users.drop_family("young")
    await database.write("UPDATE users.dropped_families SET dropped_at = to_timestamp(1) WHERE family = 'old'")
    assert await postgres_stores.retention.forget_refresh(1_000, 10) == 0
    assert await postgres_stores.retention.forget_refresh(1_001, 10) == 1
    assert [row["family"] for row in await database.read("SELECT family FROM users.dropped_families")] == ["young"]


@pytest.mark.postgres
async def test_a_family_that_ended_is_remembered_while_it_has_a_token(
    postgres_stores: Stores, database: Database
) -> None:
    await postgres_stores.users.add(user(), event("usr_1"))
    await postgres_stores.users.drop_family("f")
    # As a renewal does that was under way when the family ended.
    late = RefreshTokenRecord(
        token_hash="late", family="f", user_id="usr_1", password_version=1, expires_at_ms=2_000, used_at_ms=None
    )
    await postgres_stores.users.add_refresh(late)
    await database.write("UPDATE users.dropped_families SET dropped_at = to_timestamp(1)")
    assert await postgres_stores.retention.forget_refresh(1_500, 10) == 0
    assert await postgres_stores.users.use_refresh("late", 1_500) is None
    assert await postgres_stores.retention.forget_refresh(2_001, 10) == 1
    assert await database.read("SELECT family FROM users.dropped_families") == []
