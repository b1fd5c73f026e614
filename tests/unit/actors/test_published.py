"""The check of what was published sees what is missing and what stands before its predecessors."""

import pytest

from actors.audit.published import Published, check_published
from actors.events.cloud_events import message_of
from actors.kafka_bridge import NAME, TOPIC_SPECS
from persistence.memory.events import MemoryBroker
from persistence.stores import Stores, open_memory_stores
from tests.contract.builders import batch, event


@pytest.fixture
async def stores() -> Stores:
    """Three orders with five events each, of which the bridge has put four behind it."""
    stores = open_memory_stores(lambda: 0)
    for shard in (1, 2, 3):
        await stores.journals["orders"].fence(shard, 1)
        await stores.journals["orders"].append([batch(shard, events=5)])
    epoch, _ = await stores.cursors["orders"].take(NAME)
    assert await stores.cursors["orders"].advance(NAME, epoch, {1: 4, 2: 4, 3: 4})
    return stores


async def checked(stores: Stores, *versions: tuple[str, int]) -> Published:
    broker = MemoryBroker()
    await broker.publisher().prepare(TOPIC_SPECS)
    broker.write([message_of(event(order, version), bytes_max=10**6) for order, version in versions])
    return await check_published(stores, broker)


def breaches(result: Published) -> list[tuple[str, str]]:
    return [(breach.invariant, breach.subject) for breach in result.findings.breaches]


ALL = [(f"ord_{shard}", version) for shard in (1, 2, 3) for version in range(1, 5)]


async def test_everything_in_order_with_repeats_is_fine(stores: Stores) -> None:
    result = await checked(stores, *ALL, ("ord_1", 3), ("ord_1", 4), ("ord_1", 5))
    assert breaches(result) == []
    assert (result.waiting, result.events, result.messages, result.repeated) == (3, 12, 15, 2)
    assert result.findings.checked == {"I10": 3, "I14": 3}


async def test_what_is_missing_at_the_end_is_seen(stores: Stores) -> None:
    assert breaches(await checked(stores, *ALL[:-1])) == [("I10", "order:ord_3")]


async def test_what_is_missing_altogether_is_seen(stores: Stores) -> None:
    assert breaches(await checked(stores, *ALL[4:])) == [("I10", "order:ord_1")]


async def test_a_gap_is_seen(stores: Stores) -> None:
    assert breaches(await checked(stores, *[one for one in ALL if one != ("ord_2", 2)])) == [("I14", "order:ord_2")]


async def test_what_stands_before_its_predecessor_is_seen(stores: Stores) -> None:
    swapped = [*ALL[:1], ALL[2], ALL[1], *ALL[3:]]
    assert ("I14", "order:ord_1") in breaches(await checked(stores, *swapped))
