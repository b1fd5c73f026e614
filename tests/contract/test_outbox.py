"""Outboxes: read in order until done, and only the newest consumer removes anything."""

import asyncio

import pytest

from persistence.errors import StoreUnavailable
from persistence.postgres.database import Database
from persistence.records import OutboxService
from persistence.settings import StoreSettings
from persistence.stores import Stores, open_stores
from tests.contract.adapters import CARTS, CATALOGS, stores_of
from tests.contract.builders import cart_write, event, product


@pytest.fixture(params=[*CARTS, CATALOGS[-1]])
def stores(request: pytest.FixtureRequest) -> Stores:
    return stores_of(request)


@pytest.fixture
def service(request: pytest.FixtureRequest) -> OutboxService:
    """Whose outbox it is: of what the adapter keeps."""
    asked = getattr(getattr(request.node, "callspec", None), "params", {}).get("stores")
    return "catalog" if asked == "mongo" else "carts"


async def fill(stores: Stores, count: int = 6, service: OutboxService = "carts") -> None:
    """Events 1 to `count` of the one entity "c"; no two with the same write."""
    for n in range(1, count + 1):
        if service == "carts":
            await stores.carts.save([cart_write(f"c{n}", events=[event("c", n)])])
        else:
            await stores.catalog.save_product(product("c", n), n - 1, [event("c", n)])


async def test_rows_are_read_in_order_and_stay_until_they_are_done(stores: Stores, service: OutboxService) -> None:
    await fill(stores, service=service)
    outbox = stores.outboxes[service]
    epoch = await outbox.take()
    first = await outbox.read(2)
    topic = {"carts": "cart-events", "catalog": "catalog-events"}[service]
    assert [(row.topic, row.event) for row in first] == [(topic, event("c", 1)), (topic, event("c", 2))]
    assert await outbox.read(2) == first
    assert await outbox.done(epoch, [row.id for row in first])
    assert [row.event.version for row in await outbox.read(10)] == [3, 4, 5, 6]


async def test_what_is_done_twice_or_is_nothing_is_done(stores: Stores, service: OutboxService) -> None:
    await fill(stores, 2, service)
    outbox = stores.outboxes[service]
    epoch = await outbox.take()
    ids = [row.id for row in await outbox.read(10)]
    assert await outbox.done(epoch, ids)
    assert await outbox.done(epoch, ids)
    assert await outbox.done(epoch, [])
    assert await outbox.read(10) == []


async def test_an_older_consumer_removes_nothing_and_the_newer_finds_its_rows_in_their_place(
    stores: Stores, service: OutboxService
) -> None:
    await fill(stores, 3, service)
    outbox = stores.outboxes[service]
    older = await outbox.take()
    in_hand = await outbox.read(2)
    newer = await outbox.take()
    assert newer > older
    assert not await outbox.done(older, [row.id for row in in_hand])
    assert not await outbox.done(older, [])
    assert [row.event.version for row in await outbox.read(10)] == [1, 2, 3]
    assert await outbox.done(newer, [row.id for row in in_hand])
    assert [row.event.version for row in await outbox.read(10)] == [3]


async def test_nobody_removes_anything_before_there_is_a_consumer(stores: Stores, service: OutboxService) -> None:
    await fill(stores, 1, service)
    outbox = stores.outboxes[service]
    (row,) = await outbox.read(1)
    assert not await outbox.done(0, [row.id])
    assert not await outbox.done(1, [row.id])
    assert await outbox.read(1) == [row]


async def test_each_outbox_has_a_consumer_of_its_own(stores: Stores, service: OutboxService) -> None:
    await fill(stores, 1, service)
    assert await stores.outboxes["carts"].take() == 1
    assert await stores.outboxes["carts"].take() == 2
    assert await stores.outboxes["users"].take() == 1
    assert await stores.outboxes["catalog"].take() == 1


@pytest.mark.postgres
async def test_a_removal_under_way_is_waited_for_and_a_taken_one_is_noticed(
    postgres_stores: Stores, database: Database
) -> None:
    """Whichever of the two comes first, the other sees it: never do both think they won."""
    await fill(postgres_stores, 2)
    outbox = postgres_stores.outboxes["carts"]
    older = await outbox.take()
    (first, _) = await outbox.read(2)
    async with database.transaction() as taking:
        await taking.execute("UPDATE carts.consumers SET epoch = epoch + 1")
        removing = asyncio.create_task(outbox.done(older, [first.id]))
        await waits_for_a_lock(database)
    assert not await removing
    assert [row.id for row in await outbox.read(1)] == [first.id]


@pytest.mark.postgres
async def test_a_take_that_waits_too_long_for_a_removal_is_unavailable(
    postgres_stores: Stores, database: Database, settings: StoreSettings
) -> None:
    await postgres_stores.outboxes["carts"].take()
    impatient = await open_stores(settings.model_copy(update={"lock_timeout_ms": 50}))
    try:
        async with database.transaction() as removing:
            await removing.execute("SELECT FROM carts.consumers FOR SHARE")
            with pytest.raises(StoreUnavailable):
                await impatient.outboxes["carts"].take()
    finally:
        await impatient.close()
    assert await postgres_stores.outboxes["carts"].take() == 2


async def waits_for_a_lock(database: Database) -> None:
    """Until some statement of ours waits for another's row."""
    waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'stampede'"
    async with asyncio.timeout(20):
        while not await database.read(waiting):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)
