"""The journal under faults of the server: what waits, what is definite, and what stays unknown."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from persistence.errors import OutcomeUnknown, StoreUnavailable, WriteRefused
from persistence.ports import Journal
from persistence.postgres.database import Database
from persistence.postgres.journal import PostgresJournal
from persistence.records import Head
from persistence.settings import StoreSettings
from persistence.stores import Stores, open_stores
from tests.contract.builders import batch, event, order

pytestmark = pytest.mark.postgres

TAKE_OVER = "UPDATE orders.shard_head SET epoch = 2 WHERE shard = 1"
ORPHAN = "UPDATE orders.shard_head SET seq = seq + 1 WHERE shard = 1"


@pytest.fixture
async def orders(postgres_stores: Stores) -> Journal:
    journal = postgres_stores.journals["orders"]
    for shard in (1, 2):
        await journal.fence(shard, 1)
    return journal


@contextlib.asynccontextmanager
async def held(database: Database, statement: str) -> AsyncIterator[Any]:
    """Run `statement` in a transaction that stays open, so that its locks are held; commits at the end."""
    async with database.transaction() as connection:
        await connection.execute(statement)
        yield connection


@contextlib.asynccontextmanager
async def limited(settings: StoreSettings, **limits: int) -> AsyncIterator[Journal]:
    """The orders' journal under tighter limits, on connections of its own."""
    database = Database(settings.url("orders"), settings.model_copy(update=limits))
    await database.open()
    try:
        yield PostgresJournal("orders", database)
    finally:
        await database.close()


async def waiting_backend(connection: Any, table: str = "shard_head") -> int:
    """The process id of the first backend that waits for a row lock with a statement on `table`."""
    while True:
        pid: int | None = await connection.fetchval(
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1", f"%{table}%"
        )
        if pid is not None:
            return pid
        # The statistics are frozen within a transaction unless asked to move on.
        await connection.execute("SELECT pg_stat_clear_snapshot()")


async def test_an_append_that_waits_behind_a_takeover_writes_only_the_other_shard(
    orders: Journal, postgres_stores: Stores, database: Database
) -> None:
    async with held(database, TAKE_OVER) as taker:
        call = [batch(1, views=[order("ord_1")]), batch(2, views=[order("ord_2", shard=2)])]
        append = asyncio.create_task(orders.append(call))
        await waiting_backend(taker)
    assert await append == {(2, 1)}
    assert await orders.read(1, 0, 10) == []
    assert len(await orders.read(2, 0, 10)) == 1
    assert set(await postgres_stores.orders.load(["ord_1", "ord_2"])) == {"ord_2"}


async def test_a_fence_waits_for_the_statement_another_left_behind(orders: Journal, database: Database) -> None:
    async with held(database, ORPHAN) as orphan:
        fence = asyncio.create_task(orders.fence(1, 2))
        await waiting_backend(orphan)
        assert not fence.done()
    assert await fence == Head(shard=1, epoch=2, seq=1, low_water=0)


async def test_a_lock_held_too_long_is_a_definite_failure(
    orders: Journal, settings: StoreSettings, database: Database
) -> None:
    async with held(database, ORPHAN), limited(settings, lock_timeout_ms=20) as impatient:
        with pytest.raises(StoreUnavailable, match="55P03"):
            await impatient.append([batch(1), batch(2)])
    assert [head.seq for head in await orders.heads()] == [1, 0]


async def test_an_append_whose_connection_is_cut_is_unknown(orders: Journal, database: Database) -> None:
    async with held(database, "SELECT 1 FROM orders.shard_head WHERE shard = 1 FOR UPDATE") as other:
        append = asyncio.create_task(orders.append([batch(1)]))
        await other.execute("SELECT pg_terminate_backend($1)", await waiting_backend(other))
        with pytest.raises(OutcomeUnknown):
            await append
    assert await orders.fence(1, 2) == Head(shard=1, epoch=2, seq=0, low_water=0)
    assert await orders.append([batch(1, epoch=2)]) == {(1, 2)}


async def test_an_append_without_an_answer_in_time_is_unknown(
    orders: Journal, settings: StoreSettings, database: Database
) -> None:
    async with limited(settings, answer_timeout_ms=200) as hasty:
        async with held(database, ORPHAN):
            with pytest.raises(OutcomeUnknown):
                await hasty.append([batch(1)])
        assert await orders.fence(1, 2) == Head(shard=1, epoch=2, seq=1, low_water=0)


async def test_a_statement_that_the_server_ends_is_a_definite_failure(
    orders: Journal, settings: StoreSettings, database: Database
) -> None:
    async with held(database, ORPHAN), limited(settings, statement_timeout_ms=50) as short:
        with pytest.raises(StoreUnavailable, match="57014"):
            await short.append([batch(1)])
    assert await orders.read(1, 0, 10) == []


async def test_a_server_that_is_not_there_is_definite_for_reads_and_writes(settings: StoreSettings) -> None:
    nowhere = StoreSettings.of("postgresql://stampede@/none?host=/nonexistent")
    stores = await open_stores(nowhere)
    try:
        with pytest.raises(StoreUnavailable):
            await stores.journals["orders"].append([batch()])
        with pytest.raises(StoreUnavailable):
            await stores.journals["orders"].fence(1, 1)
        with pytest.raises(StoreUnavailable):
            await stores.ownership.now_ms()
    finally:
        await stores.close()


async def test_connections_that_broke_while_idle_are_replaced(orders: Journal, database: Database) -> None:
    await orders.append([batch(1)])
    await database.read(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'stampede' AND pid <> pg_backend_pid()"
    )
    done: frozenset[tuple[int, int]] = frozenset()
    epoch, seq = 1, 1
    while not done:
        try:
            done = await orders.append([batch(1, epoch=epoch, seq=seq)])
        except OutcomeUnknown:
            with contextlib.suppress(OutcomeUnknown):
                head = await orders.fence(1, epoch + 1)
                assert head is not None
                epoch, seq = head.epoch, head.seq
    assert [e.seq for e in await orders.read(1, 0, 10)] == [1, 2]


async def test_a_value_out_of_range_is_refused(orders: Journal) -> None:
    with pytest.raises(WriteRefused):
        await orders.append([batch(events=[event(version=2**63)])])
    with pytest.raises(WriteRefused):
        await orders.append([batch(events=[event("ord_\x00")])])
    assert await orders.read(1, 0, 10) == []


async def test_takeovers_against_overlapping_appends_lose_nothing(orders: Journal) -> None:
    """Three writers that each believe in their shards; every answered append is in the journal exactly once."""
    acknowledged: dict[int, int] = {1: 0, 2: 0}

    async def write_until_fenced(owner: int) -> None:
        epochs: dict[int, int] = {}
        seqs: dict[int, int] = {}
        for round_ in range(15):
            for shard in (1, 2):
                head = await orders.fence(shard, owner + 4 * round_ + 2)
                if head is not None:
                    epochs[shard], seqs[shard] = head.epoch, head.seq
            call = [batch(shard, epoch=epochs[shard], seq=seqs[shard], events=2) for shard in epochs]
            try:
                written = await orders.append(call)
            except StoreUnavailable:
                continue
            for shard, _ in written:
                seqs[shard] += 2
                acknowledged[shard] += 2

    await asyncio.gather(*(write_until_fenced(owner) for owner in range(3)))
    for shard, count in acknowledged.items():
        assert [e.seq for e in await orders.read(shard, 0, 1000)] == list(range(1, count + 1))


async def test_the_stored_body_is_json_text(orders: Journal, settings: StoreSettings) -> None:
    await orders.append([batch(events=[event(body=b'{"total":129999}')])])
    connection = await asyncpg.connect(settings.url("orders"))
    try:
        total = "SELECT convert_from(body, 'UTF8')::jsonb ->> 'total' FROM orders.journal"
        assert await connection.fetchval(total) == "129999"
    finally:
        await connection.close()
