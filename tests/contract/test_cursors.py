"""Cursors of consumers: forward only, and only for the newest of each consumer's name."""

import asyncio

import pytest

from persistence.postgres.database import Database
from persistence.records import JOURNAL_SERVICES
from persistence.stores import Stores
from tests.contract.builders import batch
from tests.contract.test_outbox import waits_for_a_lock


async def test_a_consumer_goes_on_where_the_one_before_it_stopped(stores: Stores) -> None:
    cursors = stores.cursors["orders"]
    first, nowhere = await cursors.take("notifier")
    assert nowhere == {}
    assert await cursors.advance("notifier", first, {3: 7, 1: 2})
    assert await cursors.advance("notifier", first, {1: 4})
    second, positions = await cursors.take("notifier")
    assert second > first
    assert positions == {1: 4, 3: 7}
    assert await cursors.positions("notifier") == positions


async def test_cursors_never_move_back(stores: Stores) -> None:
    cursors = stores.cursors["orders"]
    epoch, _ = await cursors.take("notifier")
    assert await cursors.advance("notifier", epoch, {1: 9, 2: 9})
    assert await cursors.advance("notifier", epoch, {1: 3, 2: 10})
    assert await cursors.positions("notifier") == {1: 9, 2: 10}


async def test_an_older_consumer_moves_nothing(stores: Stores) -> None:
    cursors = stores.cursors["orders"]
    older, _ = await cursors.take("notifier")
    newer, _ = await cursors.take("notifier")
    assert not await cursors.advance("notifier", older, {1: 5})
    assert not await cursors.advance("notifier", older, {})
    assert await cursors.positions("notifier") == {}
    assert await cursors.advance("notifier", newer, {})
    assert await cursors.advance("notifier", newer, {1: 1})


async def test_nobody_moves_anything_before_it_was_taken(stores: Stores) -> None:
    cursors = stores.cursors["orders"]
    assert not await cursors.advance("notifier", 0, {1: 5})
    assert not await cursors.advance("notifier", 1, {1: 5})
    assert await cursors.positions("notifier") == {}


async def test_consumers_and_services_are_apart(stores: Stores) -> None:
    epoch, _ = await stores.cursors["orders"].take("notifier")
    await stores.cursors["orders"].advance("notifier", epoch, {1: 5})
    assert await stores.cursors["orders"].take("bridge") == (1, {})
    assert await stores.cursors["payments"].take("notifier") == (1, {})
    assert [stores.cursors[service].service for service in JOURNAL_SERVICES] == list(JOURNAL_SERVICES)


async def test_what_follows_is_read_of_many_shards_at_once(stores: Stores) -> None:
    journal = stores.journals["orders"]
    for shard in (1, 2, 3):
        await journal.fence(shard, 1)
    await journal.append([batch(1, events=5), batch(2, events=2), batch(3, events=1)])
    events = await journal.read_behind({1: 2, 2: 0, 3: 1, 4: 0}, limit=2)
    assert sorted((event.shard, event.seq) for event in events) == [(1, 3), (1, 4), (2, 1), (2, 2)]
    assert [event.seq for event in events if event.shard == 1] == [3, 4]
    assert await journal.read_behind({}, limit=2) == []


@pytest.mark.postgres
async def test_an_advance_that_waited_for_a_take_is_refused(postgres_stores: Stores, database: Database) -> None:
    cursors = postgres_stores.cursors["orders"]
    older, _ = await cursors.take("notifier")
    async with database.transaction() as taking:
        await taking.execute("UPDATE orders.consumers SET epoch = epoch + 1")
        advancing = asyncio.create_task(cursors.advance("notifier", older, {1: 5}))
        await waits_for_a_lock(database)
    assert not await advancing
    assert await cursors.positions("notifier") == {}


@pytest.mark.postgres
async def test_a_take_waits_for_an_advance_and_sees_it(postgres_stores: Stores, database: Database) -> None:
    cursors = postgres_stores.cursors["orders"]
    older, _ = await cursors.take("notifier")
    await cursors.advance("notifier", older, {1: 5})
    async with database.transaction() as advancing:
        await advancing.execute("SELECT FROM orders.consumers FOR SHARE")
        taking = asyncio.create_task(cursors.take("notifier"))
        await waits_for_a_lock(database)
        await advancing.execute("UPDATE orders.cursors SET seq = 6")
    _, positions = await taking
    assert positions == {1: 6}


@pytest.mark.postgres
async def test_two_that_fight_over_a_consumer_never_both_win(postgres_stores: Stores) -> None:
    """Advances of one that is being replaced, against takes: after a take returned, no older epoch is ever written."""
    cursors = postgres_stores.cursors["orders"]
    epoch, _ = await cursors.take("notifier")
    for round_ in range(1, 21):
        advanced, (newer, positions) = await asyncio.gather(
            cursors.advance("notifier", epoch, dict.fromkeys(range(8), round_)), cursors.take("notifier")
        )
        assert positions == await cursors.positions("notifier"), "something was written after the take"
        assert (positions.get(0) == round_) is advanced
        assert not await cursors.advance("notifier", epoch, {0: 10_000})
        epoch = newer
