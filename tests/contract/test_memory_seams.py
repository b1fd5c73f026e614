"""What the simulation can do to a memory store, and the two bugs it can plant there."""

import asyncio

import pytest

from persistence.errors import OutcomeUnknown, StoreUnavailable
from persistence.memory.seams import Seams, WrittenLater
from persistence.memory.tables import MemoryTables
from persistence.stores import Stores, open_memory_stores
from tests.contract.builders import batch, order


def stores_with(seams: Seams, tables: MemoryTables) -> Stores:
    return open_memory_stores(lambda: 0, tables=tables, seams=seams)


@pytest.fixture
def tables() -> MemoryTables:
    return MemoryTables()


async def fenced(tables: MemoryTables) -> Stores:
    stores = stores_with(Seams(), tables)
    await stores.journals["orders"].fence(1, 1)
    return stores


async def test_a_dropped_call_writes_nothing(tables: MemoryTables) -> None:
    plain = await fenced(tables)

    async def drop(name: str) -> None:
        raise StoreUnavailable(name)

    with pytest.raises(StoreUnavailable, match=r"orders\.append"):
        await stores_with(Seams(before=drop), tables).journals["orders"].append([batch()])
    assert await plain.journals["orders"].read(1, 0, 9) == []


async def test_a_lost_answer_was_written(tables: MemoryTables) -> None:
    plain = await fenced(tables)

    async def lose(name: str) -> None:
        raise OutcomeUnknown(name)

    with pytest.raises(OutcomeUnknown):
        await stores_with(Seams(after=lose), tables).journals["orders"].append([batch()])
    assert len(await plain.journals["orders"].read(1, 0, 9)) == 1


@pytest.mark.parametrize("fence_first", [False, True])
async def test_an_orphan_is_written_later_unless_it_is_fenced(tables: MemoryTables, fence_first: bool) -> None:
    plain = await fenced(tables)
    later = asyncio.get_running_loop().create_future()

    async def orphan(_: str) -> None:
        raise WrittenLater(later)

    seams = Seams(before=orphan)
    with pytest.raises(OutcomeUnknown):
        await stores_with(seams, tables).journals["orders"].append([batch()])
    if fence_first:
        await plain.journals["orders"].fence(1, 2)
    assert await plain.journals["orders"].read(1, 0, 9) == []
    later.set_result(None)
    await asyncio.gather(*seams.orphans)
    assert len(await plain.journals["orders"].read(1, 0, 9)) == (0 if fence_first else 1)


async def test_the_planted_bug_fencing_lets_a_zombie_write() -> None:
    journal = open_memory_stores(lambda: 0, fencing=False).journals["orders"]
    await journal.fence(1, 2)
    assert await journal.append([batch(epoch=1)]) == {(1, 1)}
    assert await journal.append([batch(epoch=1)]) == {(1, 1)}
    assert [e.seq for e in await journal.read(1, 0, 9)] == [1, 2]


async def test_the_planted_bug_views_joined_lets_a_zombie_write_its_views() -> None:
    stores = open_memory_stores(lambda: 0, views_joined=False)
    await stores.journals["orders"].fence(1, 2)
    assert await stores.journals["orders"].append([batch(epoch=1, views=[order()])]) == frozenset()
    assert await stores.journals["orders"].read(1, 0, 9) == []
    assert set(await stores.orders.load(["ord_1"])) == {"ord_1"}
