"""What the audit reads: whole tables, page after page, from both stores alike."""

import time
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

import msgspec
import pytest

import persistence.memory.audit_reads
import persistence.mongo.audit_reads
import persistence.postgres.audit_reads
from persistence.memory.tables import MemoryTables
from persistence.ports import AuditReads
from persistence.records import JOURNAL_SERVICES, ReturnRow
from persistence.settings import StoreSettings
from persistence.stores import Stores, open_audit_reads, open_memory_audit_reads, open_memory_stores
from tests.contract.adapters import CATALOGS
from tests.contract.builders import (
    batch,
    event,
    host,
    movement,
    order,
    payment,
    product,
    snapshot,
    stock,
    timer,
    variant,
)

PAGE_ROWS = 2
Item = TypeVar("Item")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
async def postgres_both(postgres_stores: Stores, settings: StoreSettings) -> AsyncIterator[tuple[Stores, AuditReads]]:
    """Those of PostgreSQL."""
    reads = await open_audit_reads(settings)
    yield postgres_stores, reads
    await reads.close()


@pytest.fixture
async def mongo_both(mongo_stores: Stores, mongo_settings: StoreSettings) -> AsyncIterator[tuple[Stores, AuditReads]]:
    """Those of PostgreSQL, with the price versions in MongoDB."""
    reads = await open_audit_reads(mongo_settings)
    yield mongo_stores, reads
    await reads.close()


@pytest.fixture(params=CATALOGS)
def both(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[Stores, AuditReads]:
    """Stores to write with, and the reads of the same tables, two rows a page."""
    monkeypatch.setattr(persistence.memory.audit_reads, "PAGE_ROWS", PAGE_ROWS)
    monkeypatch.setattr(persistence.postgres.audit_reads, "PAGE_ROWS", PAGE_ROWS)
    monkeypatch.setattr(persistence.mongo.audit_reads, "PAGE_ROWS", PAGE_ROWS)
    if request.param == "memory":
        tables = MemoryTables()
        return open_memory_stores(now_ms, tables=tables), open_memory_audit_reads(now_ms, tables)
    opened: tuple[Stores, AuditReads] = request.getfixturevalue(f"{request.param}_both")
    return opened


async def whole(pages: AsyncIterator[Sequence[Item]]) -> list[Item]:
    """All rows; no page is empty, and none is too long."""
    rows: list[Item] = []
    async for page in pages:
        assert 0 < len(page) <= PAGE_ROWS
        rows += page
    return rows


async def test_empty_stores_have_no_pages(both: tuple[Stores, AuditReads]) -> None:
    _, reads = both
    for service in JOURNAL_SERVICES:
        assert await reads.heads(service) == []
        assert await whole(reads.views(service)) == []
        assert await whole(reads.events(service, 1, 5)) == []
        assert await reads.timers(service, 1) == []
    for pages in (reads.snapshots(), reads.returns(), reads.ledger(), reads.prices()):
        assert await whole(pages) == []  # type: ignore[arg-type,misc]
    assert await reads.hosts() == []


async def test_events_up_to_a_seq_in_order(both: tuple[Stores, AuditReads]) -> None:
    stores, reads = both
    journal = stores.journals["orders"]
    for shard in (1, 2):
        await journal.fence(shard, 1)
    await journal.append([batch(1, events=7), batch(2, events=1)])
    for up_to, expected in ((0, 0), (1, 1), (4, 4), (5, 5), (7, 7), (99, 7)):
        events = await whole(reads.events("orders", 1, up_to))
        assert [found.seq for found in events] == list(range(1, expected + 1))
    assert events == await journal.read(1, 0, 99)
    assert await reads.heads("orders") == await journal.heads()


async def test_every_row_of_every_view(both: tuple[Stores, AuditReads]) -> None:
    stores, reads = both
    for service in JOURNAL_SERVICES:
        await stores.journals[service].fence(1, 1)
    orders = [order(f"ord_{n}") for n in range(5)]
    payments = [payment(f"pay_{n}", order_id=f"ord_{n}") for n in range(4)]
    stocks = [stock(f"sku-{n}") for n in range(3)]
    timers = [timer("ord_1", 5), timer("ord_2", 6)]
    await stores.journals["orders"].append([batch(views=orders, timers=timers)])
    await stores.journals["payments"].append([batch(views=payments)])
    returns = [ReturnRow(order_id=f"ord_{n}", sku=f"sku-{m}") for n in range(2) for m in range(2)]
    events = [event("sku-1", 1, entity_type="sku")]
    await stores.journals["inventory"].append([batch(events=events, views=stocks, returns=returns)])
    assert sorted(await whole(reads.views("orders")), key=str) == sorted(orders, key=str)
    assert sorted(await whole(reads.views("payments")), key=str) == sorted(payments, key=str)
    assert sorted(await whole(reads.views("inventory")), key=str) == sorted(stocks, key=str)
    assert sorted(await whole(reads.returns()), key=str) == sorted(returns, key=str)
    assert await reads.timers("orders", 1) == timers
    assert await reads.timers("orders", 2) == []


async def test_snapshots_of_all_shards(both: tuple[Stores, AuditReads]) -> None:
    stores, reads = both
    rows = [snapshot(f"sku-{shard}-{n}", shard=shard) for shard in (0, 3, 20) for n in range(3)]
    for shard in (0, 3, 20):
        await stores.journals["inventory"].fence(shard, 1)
        await stores.journals["inventory"].append([batch(shard)])
        assert await stores.stock.save_snapshots(shard, 1, [row for row in rows if row.shard == shard])
    assert sorted(await whole(reads.snapshots()), key=str) == sorted(rows, key=str)


async def test_the_ledger_and_every_price_version(both: tuple[Stores, AuditReads]) -> None:
    stores, reads = both
    movements = [movement(f"ord_{n}:capture:1") for n in range(5)]
    await stores.ledger.put(movements)
    await stores.catalog.save_product(product(variants=[variant("A"), variant("B")]), 0, [])
    dearer = [variant("A", 200, 2), variant("B")]
    await stores.catalog.save_product(product(version=2, variants=dearer), 1, [])
    assert sorted(await whole(reads.ledger()), key=str) == sorted(movements, key=str)
    prices = await whole(reads.prices())
    assert sorted((price.sku, price.version, price.price_minor, price.currency) for price in prices) == [
        ("A", 1, 129_999, "USD"),
        ("A", 2, 200, "USD"),
        ("B", 1, 129_999, "USD"),
    ]
    newest = (await stores.catalog.prices(["A"]))["A"]
    assert msgspec.structs.replace(newest, name="") in prices


async def test_hosts_shards_and_the_clock(both: tuple[Stores, AuditReads]) -> None:
    stores, reads = both
    await stores.ownership.prepare(4)
    await stores.ownership.join(host(), 5_000)
    assert await reads.hosts() == await stores.ownership.hosts()
    assert [row.shard for row in await reads.shards()] == [0, 1, 2, 3]
    assert abs(await reads.now_ms() - now_ms()) < 60_000
