"""Who lives and who owns which shard: each write is one condition, and of concurrent ones one wins."""

import asyncio

import msgspec
import pytest

from persistence.errors import WriteRefused
from persistence.ports import Ownership
from persistence.records import ShardRow
from persistence.stores import Stores, open_memory_stores
from tests.contract.builders import host

TTL_MS = 60_000


@pytest.fixture
def ownership(stores: Stores) -> Ownership:
    return stores.ownership


async def test_the_shards_are_made_once(ownership: Ownership) -> None:
    await asyncio.gather(ownership.prepare(16), ownership.prepare(16))
    await ownership.join(host(), TTL_MS)
    await ownership.claim(3, "host-a", "1")
    await ownership.prepare(16)
    rows = await ownership.shards()
    assert [row.shard for row in rows] == list(range(16))
    assert rows[3] == ShardRow(shard=3, owner="host-a", incarnation="1", epoch=1)
    assert rows[4] == ShardRow(shard=4, owner=None, incarnation=None, epoch=0)


async def test_another_number_of_shards_is_refused(ownership: Ownership) -> None:
    await ownership.prepare(16)
    with pytest.raises(WriteRefused):
        await ownership.prepare(32)
    assert len(await ownership.shards()) == 16


async def test_the_clock_does_not_run_backwards(ownership: Ownership) -> None:
    first = await ownership.now_ms()
    assert first > 1_600_000_000_000
    assert await ownership.now_ms() >= first


async def test_joining_gives_a_lease_by_the_databases_clock(ownership: Ownership) -> None:
    before = await ownership.now_ms()
    row = await ownership.join(host(), TTL_MS)
    assert before <= row.renewed_at_ms <= await ownership.now_ms()
    assert row.expires_at_ms == row.renewed_at_ms + TTL_MS
    assert await ownership.hosts() == [row]


async def test_joining_again_replaces_the_row(ownership: Ownership) -> None:
    await ownership.join(host(), TTL_MS)
    await ownership.join(host(incarnation="2"), TTL_MS)
    row = await ownership.join(host(weight=0.5), TTL_MS)
    assert [(r.incarnation, r.weight) for r in await ownership.hosts()] == [("1", 0.5), ("2", 1.0)]
    assert msgspec.structs.replace(row, renewed_at_ms=0, expires_at_ms=0) == host(weight=0.5)


async def test_renewing_prolongs_the_lease(ownership: Ownership) -> None:
    await ownership.join(host(), 1)
    expires_at_ms = await ownership.renew("host-a", "1", 0.0, TTL_MS)
    (row,) = await ownership.hosts()
    assert (row.expires_at_ms, row.weight) == (expires_at_ms, 0.0)
    assert not await ownership.bury("host-a", "1", exit_reported=False)


async def test_a_buried_host_cannot_renew(ownership: Ownership) -> None:
    await ownership.join(host(), -1)
    assert await ownership.bury("host-a", "1", exit_reported=False)
    assert not await ownership.bury("host-a", "1", exit_reported=True)
    assert await ownership.renew("host-a", "1", 1.0, TTL_MS) is None
    assert await ownership.hosts() == []


async def test_a_living_host_is_buried_only_if_its_exit_was_reported(ownership: Ownership) -> None:
    await ownership.join(host(), TTL_MS)
    assert not await ownership.bury("host-a", "1", exit_reported=False)
    assert await ownership.bury("host-a", "1", exit_reported=True)


async def test_burying_one_incarnation_leaves_the_next(ownership: Ownership) -> None:
    await ownership.join(host(), -1)
    await ownership.join(host(incarnation="2"), TTL_MS)
    assert await ownership.bury("host-a", "1", exit_reported=False)
    await ownership.leave("host-a", "1")
    assert [row.incarnation for row in await ownership.hosts()] == ["2"]


async def test_of_concurrent_burials_one_wins(ownership: Ownership) -> None:
    await ownership.join(host(), -1)
    burials = [ownership.bury("host-a", "1", exit_reported=False) for _ in range(5)]
    assert sorted(await asyncio.gather(*burials)) == [False] * 4 + [True]


async def test_of_concurrent_claims_one_wins(ownership: Ownership) -> None:
    await ownership.prepare(4)
    for n in range(6):
        await ownership.join(host(f"host-{n}"), TTL_MS)
    epochs = await asyncio.gather(*(ownership.claim(2, f"host-{n}", "1") for n in range(6)))
    winners = [n for n, epoch in enumerate(epochs) if epoch is not None]
    assert len(winners) == 1
    assert (await ownership.shards())[2] == ShardRow(shard=2, owner=f"host-{winners[0]}", incarnation="1", epoch=1)


async def test_claiming_ones_own_shard_raises_its_epoch(ownership: Ownership) -> None:
    await ownership.prepare(4)
    await ownership.join(host(), TTL_MS)
    assert await ownership.claim(0, "host-a", "1") == 1
    assert await ownership.claim(0, "host-a", "1") == 2
    assert await ownership.claim(0, "host-a", "1", at_least_epoch=9) == 10
    assert await ownership.claim(0, "host-a", "1", at_least_epoch=3) == 11


async def test_a_living_owners_shard_is_not_claimed_even_past_its_lease(ownership: Ownership) -> None:
    await ownership.prepare(4)
    await ownership.join(host("host-a"), -1)
    await ownership.join(host("host-b"), TTL_MS)
    await ownership.claim(0, "host-a", "1")
    assert await ownership.claim(0, "host-b", "1") is None
    await ownership.bury("host-a", "1", exit_reported=False)
    assert await ownership.claim(0, "host-b", "1") == 2


async def test_the_next_incarnation_of_a_living_owner_is_another(ownership: Ownership) -> None:
    await ownership.prepare(4)
    await ownership.join(host(), TTL_MS)
    await ownership.join(host(incarnation="2"), TTL_MS)
    await ownership.claim(0, "host-a", "1")
    assert await ownership.claim(0, "host-a", "2") is None


async def test_a_shard_that_is_not_there_is_not_claimed(ownership: Ownership) -> None:
    await ownership.prepare(4)
    assert await ownership.claim(4, "host-a", "1") is None


async def test_a_hand_off_needs_the_very_epoch(ownership: Ownership) -> None:
    await ownership.prepare(4)
    for name in ("host-a", "host-b"):
        await ownership.join(host(name), TTL_MS)
    await ownership.claim(0, "host-a", "1")
    assert not await ownership.hand_off(0, "host-a", "1", 2, "host-b", "1")
    assert not await ownership.hand_off(0, "host-a", "2", 1, "host-b", "1")
    assert await ownership.hand_off(0, "host-a", "1", 1, "host-b", "1")
    assert not await ownership.hand_off(0, "host-a", "1", 1, "host-b", "1")
    assert await ownership.claim(0, "host-a", "1") is None
    assert await ownership.claim(0, "host-b", "1") == 2


async def test_a_lease_in_memory_ends_by_the_clock_it_was_given() -> None:
    now_ms = 1_000
    ownership = open_memory_stores(lambda: now_ms).ownership
    await ownership.join(host(), 500)
    now_ms = 1_499
    assert not await ownership.bury("host-a", "1", exit_reported=False)
    now_ms = 1_500
    assert await ownership.bury("host-a", "1", exit_reported=False)
