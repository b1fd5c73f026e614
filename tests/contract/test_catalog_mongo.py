"""The catalog in MongoDB: what only it does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

import persistence.mongo.product_batches
import persistence.mongo.product_plans
from persistence.errors import AlreadyExists, OutcomeUnknown, StaleVersion, StoreUnavailable, WriteRefused
from persistence.mongo.audit_reads import MongoPriceReads
from persistence.mongo.catalog import MongoCatalog
from persistence.mongo.database import MongoDatabase
from persistence.mongo.outbox import MongoOutbox
from persistence.mongo.product_batches import ProductBatches
from persistence.mongo.product_plans import PAST_PRICE_KEPT_MS
from persistence.records import CategoryRecord, NewEvent, PriceRecord, ProductQuery, ProductRecord, ProductWrite
from persistence.settings import StoreSettings
from persistence.stores import Stores, open_stores
from tests.contract.builders import event, product, variant
from tests.servers.mongodb import MongoProcess

pytestmark = pytest.mark.postgres

NASTY = [
    "$set",
    "$where",
    "a.b",
    ".",
    "$",
    "",
    "\0",
    "{'$ne': null}",
    '{"$gt": ""}',
    ".*",
    "^",
    "$name",
    "__proto__",
    "é🛒",
]


@pytest.fixture
def url(mongo_settings: StoreSettings) -> str:
    assert mongo_settings.mongo_url is not None
    return mongo_settings.mongo_url.get_secret_value()


@pytest.fixture
async def database(mongo_settings: StoreSettings, url: str) -> AsyncIterator[MongoDatabase]:
    database = MongoDatabase(url, mongo_settings)
    yield database
    await database.close()


@pytest.fixture
def catalog(database: MongoDatabase) -> MongoCatalog:
    return MongoCatalog(database)


@pytest.fixture
def outbox(database: MongoDatabase) -> MongoOutbox:
    return MongoOutbox(database)


def write(row: ProductRecord, expected_version: int = 0) -> ProductWrite:
    return ProductWrite(product=row, expected_version=expected_version, events=(event(row.id, row.version),))


async def all_prices(database: MongoDatabase) -> list[PriceRecord]:
    return [price async for page in MongoPriceReads(database).prices() for price in page]


@contextlib.asynccontextmanager
async def processes(settings: StoreSettings, url: str, count: int) -> AsyncIterator[list[MongoCatalog]]:
    """Catalogs with connections of their own, as the replicas have."""
    databases = [MongoDatabase(url, settings) for _ in range(count)]
    try:
        yield [MongoCatalog(database) for database in databases]
    finally:
        for database in databases:
            await database.close()


async def test_of_fifty_changes_at_one_version_one_wins(mongo_settings: StoreSettings, url: str) -> None:
    async with processes(mongo_settings, url, 5) as catalogs:
        await catalogs[0].save_product(product("p"), 0, [event("p", 1)])
        changes = [
            catalogs[n % 5].save_product(product("p", 2, name=f"n{n}"), 1, [event(f"by-{n}", 2)]) for n in range(50)
        ]
        results = await asyncio.gather(*changes, return_exceptions=True)
        (winner,) = [n for n, result in enumerate(results) if result is None]
        assert sum(isinstance(result, StaleVersion) for result in results) == 49
        held = await catalogs[0].product("p")
        assert held is not None
        assert held.name == f"n{winner}"


async def test_of_fifty_products_that_claim_a_sku_at_once_one_gets_it(mongo_settings: StoreSettings, url: str) -> None:
    async with processes(mongo_settings, url, 5) as catalogs:
        claims = [
            catalogs[n % 5].save_product(product(f"p{n}", variants=[variant("S", n)]), 0, [event(f"p{n}", 1)])
            for n in range(50)
        ]
        results = await asyncio.gather(*claims, return_exceptions=True)
        (winner,) = [n for n, result in enumerate(results) if result is None]
        # Who lost may have seen the winner's price first.
        assert {type(result) for result in results if result is not None} <= {AlreadyExists, StaleVersion}, results
        assert (await catalogs[0].prices(["S"]))["S"].product_id == f"p{winner}"
        assert len(await catalogs[0].products_behind("", 99)) == 1


async def test_a_price_version_has_one_successor_whoever_takes_the_sku(
    database: MongoDatabase, catalog: MongoCatalog
) -> None:
    """Two that saw the same last version of a free SKU: the later one is refused, though its number is free."""
    await catalog.save_product(product("a", variants=[variant("S", 100, 10)]), 0, [])
    await catalog.save_product(product("a", 2, variants=[]), 1, [])
    batches = ProductBatches(database)
    late = product("late", variants=[variant("S", 90, 15)])
    held = await batches._held([late])
    await catalog.save_product(product("b", variants=[variant("S", 80, 20)]), 0, [])
    await catalog.save_product(product("b", 2, variants=[]), 1, [])
    operations, _, _ = await batches._operations([write(late)], held, "mark")
    refused = await batches._in_rounds([write(late)], held, operations, "mark")
    assert {name: type(error) for name, error in refused.items()} == {"late": StaleVersion}
    assert sorted(price.version for price in await all_prices(database)) == [10, 20]


@pytest.mark.parametrize("text", NASTY)
async def test_no_text_means_anything_to_the_server(catalog: MongoCatalog, text: str) -> None:
    attributes: dict[str, Any] = {
        text: {text: [text, {text: 2**70}]},
        "$inc": {"version": 1},
        "n": -0.5,
        "t": True,
        "z": None,
    }
    other = product("other", name="other")
    nasty = ProductRecord(
        **{name: getattr(other, name) for name in other.__struct_fields__}
        | {
            "id": f"p{text}", "name": text, "brand": text, "description": text, "attributes": attributes,
            "categories": (text,), "variants": (variant(f"sku{text}"),),
        }
    )  # fmt: skip
    await catalog.save_products([write(other), write(nasty)])
    await catalog.save_category(CategoryRecord(id=text, name=text, version=1), 0)
    assert await catalog.product(f"p{text}") == nasty
    assert await catalog.product(text) is None
    assert [row.id for row in (await catalog.products(ProductQuery(category=text)))[0]] == [f"p{text}"]
    in_stock = ProductQuery(skus_in_stock=frozenset({text, f"sku{text}"}))
    assert [row.id for row in (await catalog.products(in_stock))[0]] == [f"p{text}"]
    assert set(await catalog.prices([text, f"sku{text}"])) == {f"sku{text}"}
    found = [row.sku for row in await catalog.skus(text=text, behind="", limit=9)]
    assert found == sorted([f"sku{text}", "OTHER"]) if text == "" else found == [f"sku{text}"]
    category = await catalog.category(text)
    assert category is not None
    assert (category.name, category.product_count) == (text, 1)
    with pytest.raises(StaleVersion):
        await catalog.delete_product(text, 1, [])
    await catalog.delete_product(f"p{text}", 1, [])
    await catalog.delete_category(text, 1)
    assert [row.id for row in await catalog.products_behind("", 9)] == ["other"]


@pytest.mark.parametrize("operator", [{"$ne": None}, {"$gt": ""}, {"$exists": True}, {"$where": "true"}])
async def test_an_operator_in_place_of_a_value_finds_nothing(catalog: MongoCatalog, operator: Any) -> None:
    """No route lets one through; if one did, it would be a value like any other."""
    await catalog.save_product(product("p"), 0, [])
    await catalog.save_category(CategoryRecord(id="c", name="C", version=1), 0)
    with contextlib.suppress(StoreUnavailable, TypeError):
        assert (await catalog.products(ProductQuery(category=operator)))[0] == []
    with contextlib.suppress(StoreUnavailable, TypeError):
        assert await catalog.category(operator) is None
    for refused in (catalog.delete_product(operator, 1, []), catalog.delete_category(operator, 1)):
        with pytest.raises((StaleVersion, StoreUnavailable)):
            await refused
    assert await catalog.product("p") == product("p")
    assert await catalog.category_ids() == {"c"}


async def test_what_fits_into_no_document_is_refused_alone(
    catalog: MongoCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persistence.mongo.product_batches, "DOCUMENT_BYTES_MAX", 10_000)
    large = product("large", name="x" * 10_000)
    refused = await catalog.save_products(
        [write(product("good")), write(large), write(product("dear", variants=[variant("D", 2**63)]))]
    )
    assert {name: type(error) for name, error in refused.items()} == {"large": WriteRefused, "dear": WriteRefused}
    assert set(await catalog.products_by_id(["good", "large", "dear"])) == {"good"}


async def test_old_prices_are_put_away_and_none_is_lost_or_told_twice(
    database: MongoDatabase, catalog: MongoCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persistence.mongo.product_plans, "PAST_PRICES_MAX", 3)
    later_ms = 2 * PAST_PRICE_KEPT_MS
    for version in range(1, 11):
        row = product("p", version, variants=[variant("A", version, version)], created_at_ms=version * later_ms)
        await catalog.save_product(row, version - 1, [])
    await catalog.save_product(product("p", 11, variants=[variant("B", 1)], created_at_ms=11 * later_ms), 10, [])
    document = await database.products.find_one({"_id": "p"})
    assert document is not None
    assert len(document["past"]) <= 4
    prices = await all_prices(database)
    assert sorted((price.sku, price.version, price.price_minor) for price in prices) == [
        *(("A", n, n) for n in range(1, 11)),
        ("B", 1, 1),
    ]
    assert all((price.replaced_at_ms is None) == (price.sku == "B") for price in prices)
    # The newest of a SKU that was let go is still known: its versions only grow.
    with pytest.raises(StaleVersion):
        await catalog.save_product(product("q", variants=[variant("A", 5, 10)]), 0, [])
    await catalog.save_product(product("q", variants=[variant("A", 5, 11)]), 0, [])


async def test_prices_replaced_lately_stay_where_a_slower_writer_runs_into_them(
    database: MongoDatabase, catalog: MongoCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persistence.mongo.product_plans, "PAST_PRICES_MAX", 3)
    for version in range(1, 11):
        await catalog.save_product(product("p", version, variants=[variant("A", version, version)]), version - 1, [])
    document = await database.products.find_one({"_id": "p"})
    assert document is not None
    assert len(document["past"]) == 9
    assert await database.prices.count_documents({}) == 0


def ring(version: int, shift: int) -> list[ProductWrite]:
    """Three products, each with the SKU of the one `shift` places on."""
    return [
        write(product(f"p{n}", version, variants=[variant(f"S{(n + shift) % 3}", 100 + version, version)]), version - 1)
        for n in range(3)
    ]


async def test_products_that_exchange_skus_in_a_ring_can_be_bought_all_the_while(
    database: MongoDatabase, catalog: MongoCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await catalog.save_products(ring(1, 0)) == {}
    skus = ["S0", "S1", "S2"]

    async def dies(*_: object) -> Any:
        raise StoreUnavailable("the process dies here")

    with monkeypatch.context() as patched:
        patched.setattr(ProductBatches, "_round", dies)
        with pytest.raises(OutcomeUnknown):
            await catalog.save_products(ring(2, 1))
    assert {sku: price.price_minor for sku, price in (await catalog.prices(skus)).items()} == dict.fromkeys(skus, 101)
    assert set(await catalog.products_by_id(["p0", "p1", "p2"])) == {"p0", "p1", "p2"}
    # Once more is what was meant.
    assert await catalog.save_products(ring(2, 1)) == {}
    prices = await catalog.prices(skus)
    assert {sku: (price.product_id, price.price_minor) for sku, price in prices.items()} == {
        "S1": ("p0", 102), "S2": ("p1", 102), "S0": ("p2", 102)
    }  # fmt: skip
    assert [(row.sku, row.product_id) for row in await catalog.skus(text="", behind="", limit=9)] == [
        ("S0", "p2"), ("S1", "p0"), ("S2", "p1")
    ]  # fmt: skip


async def test_a_chain_of_skus_moves_only_as_far_as_it_is_let_go(
    catalog: MongoCatalog, database: MongoDatabase
) -> None:
    """The one that lets go is refused when it is written: who waits for its SKU is refused too."""
    await catalog.save_products([write(product(name, variants=[variant(name.upper())])) for name in ("a", "b")])
    batches = ProductBatches(database)
    moves = [
        write(product("b", 2, variants=[variant("A", 1, 2)]), 1), write(product("a", 2, variants=[variant("X")]), 1)
    ]  # fmt: skip
    held = await batches._held([move.product for move in moves])
    operations, _, _ = await batches._operations(moves, held, "mark")
    await catalog.save_product(product("a", 2, name="somebody else", variants=[variant("A")]), 1, [])
    refused = await batches._in_rounds(moves, held, operations, "mark")
    assert {name: type(error) for name, error in refused.items()} == {"a": StaleVersion, "b": AlreadyExists}
    assert {sku: price.product_id for sku, price in (await catalog.prices(["A", "B", "X"])).items()} == {
        "A": "a", "B": "b"
    }  # fmt: skip


async def test_who_died_while_removing_events_is_finished_by_who_reads_next(
    database: MongoDatabase, catalog: MongoCatalog, outbox: MongoOutbox
) -> None:
    await catalog.save_products([write(product(f"p{n}")) for n in range(4)])
    await outbox.take()
    first, second, *rest = await outbox.read(9)
    await database.consumers.update_one({"_id": "outbox"}, {"$set": {"done": [first.id, second.id]}})
    assert await outbox.read(9) == rest
    assert (await database.consumers.find_one({}) or {})["done"] == []
    assert await database.products.count_documents({"pending_events.0": {"$exists": True}}) == 2


async def test_an_event_never_comes_before_an_earlier_one_of_its_product(
    database: MongoDatabase, catalog: MongoCatalog, outbox: MongoOutbox
) -> None:
    """A writer may draw its number early and be written late."""
    await catalog.save_products([write(product("x")), write(product("y"))])
    await catalog.save_product(product("x", 2, name="new"), 1, [event("x", 2)])
    await database.products.update_one({"_id": "x"}, {"$set": {"pending_events.0.id": 90, "pending_events.1.id": 5}})
    epoch = await outbox.take()
    rows = await outbox.read(9)
    assert [(row.event.entity_id, row.event.version) for row in rows] == [("y", 1), ("x", 1), ("x", 2)]
    assert [len(await outbox.read(limit)) for limit in (0, 1, 2, 3)] == [0, 1, 2, 3]
    assert [row.event.entity_id for row in await outbox.read(1)] == ["y"]
    assert await outbox.done(epoch, [row.id for row in rows])
    assert await outbox.read(9) == []


async def test_a_product_takes_no_more_events_than_it_has_room_for(
    catalog: MongoCatalog, outbox: MongoOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persistence.mongo.product_plans, "PENDING_EVENTS_MAX", 2)
    for version in (1, 2):
        await catalog.save_product(product("p", version, name=f"{version}"), version - 1, [event("p", version)])
    third = product("p", 3, name="3")
    with pytest.raises(StoreUnavailable, match="consumer"):
        await catalog.save_product(third, 2, [event("p", 3)])
    with pytest.raises(StoreUnavailable, match="consumer"):
        await catalog.delete_product("p", 2, [event("p", 3)])
    epoch = await outbox.take()
    assert await outbox.done(epoch, [row.id for row in await outbox.read(9)])
    await catalog.save_product(third, 2, [event("p", 3)])


async def test_events_are_those_of_the_writes_and_each_has_a_number_of_its_own(
    catalog: MongoCatalog, outbox: MongoOutbox
) -> None:
    big = NewEvent(
        **{name: getattr(event("p1", 1), name) for name in NewEvent.__struct_fields__} | {"body": bytes(range(256))}
    )
    await catalog.save_product(product("p1"), 0, [big, event("p1", 2)])
    await asyncio.gather(*(catalog.save_product(product(f"q{n}"), 0, [event(f"q{n}", 1)]) for n in range(20)))
    with pytest.raises(AlreadyExists):
        await catalog.save_product(product("p1"), 0, [event("refused", 1)])
    rows = await outbox.read(99)
    assert [row.event for row in rows[:2]] == [big, event("p1", 2)]
    assert len({row.id for row in rows}) == 22
    assert "refused" not in {row.event.entity_id for row in rows}


async def test_health_names_mongodb(mongo_stores: Stores, mongo_settings: StoreSettings, url: str) -> None:
    await mongo_stores.probes["mongodb"]()
    elsewhere = url.replace("/catalog", "/not_prepared").replace("/stampede_test", "/not_prepared")
    stores = await open_stores(mongo_settings.model_copy(update={"mongo_url": SecretStr(elsewhere)}))
    try:
        with pytest.raises(StoreUnavailable, match=r"MONGO_URL: .* is not prepared"):
            await stores.probes["mongodb"]()
    finally:
        await stores.close()


async def test_what_a_kill_interrupts_was_written_or_was_not_and_nothing_acknowledged_is_lost(
    settings: StoreSettings, mongo_process: MongoProcess
) -> None:
    """Eight writers, two kill -9 of a server without a replica set, everything read back."""
    from persistence.mongo.schema import prepare

    await prepare(mongo_process.url)
    quick = settings.model_copy(update={"connect_timeout_ms": 2_000, "statement_timeout_ms": 4_000})
    database = MongoDatabase(mongo_process.url, quick)
    catalog, outbox = MongoCatalog(database), MongoOutbox(database)
    acknowledged: dict[str, int] = {}
    tried: dict[str, int] = {}
    stopping = asyncio.Event()
    progress = asyncio.Semaphore(0)

    async def writer(name: str) -> None:
        version = 0
        while not stopping.is_set():
            tried[name] = version + 1
            try:
                await catalog.save_product(
                    product(name, version + 1, name=f"v{version + 1}"), version, [event(name, version + 1)]
                )
            except (StoreUnavailable, OutcomeUnknown, StaleVersion, AlreadyExists):
                held = await read_again(name)
                version = 0 if held is None else held.version
                continue
            version += 1
            acknowledged[name] = version
            progress.release()

    async def read_again(name: str) -> ProductRecord | None:
        while True:
            try:
                return await catalog.product(name)
            except StoreUnavailable:
                await asyncio.sleep(0.01)

    try:
        async with asyncio.timeout(90), asyncio.TaskGroup() as writers:
            for n in range(8):
                writers.create_task(writer(f"p{n}"))
            for _ in range(2):
                for _ in range(100):
                    await progress.acquire()
                mongo_process.kill()
                await asyncio.to_thread(mongo_process.start)
            for _ in range(50):
                await progress.acquire()
            stopping.set()
        held = await catalog.products_by_id(sorted(tried))
        assert acknowledged
        for name, version in acknowledged.items():
            assert version <= held[name].version <= tried[name]
        # Every version that is there has its event, once and in order, and nothing else has one.
        versions: dict[str, list[int]] = {}
        for row in await outbox.read(100_000):
            versions.setdefault(row.event.entity_id, []).append(row.event.version)
        assert versions == {name: list(range(1, row.version + 1)) for name, row in held.items()}
    finally:
        await database.close()


async def test_a_server_that_answers_nothing_is_waited_for_until_the_deadline_only(
    settings: StoreSettings, mongo_process: MongoProcess
) -> None:
    from persistence.mongo.schema import prepare

    await prepare(mongo_process.url)
    quick = settings.model_copy(
        update={"connect_timeout_ms": 500, "statement_timeout_ms": 500, "answer_timeout_ms": 1_000}
    )
    database = MongoDatabase(mongo_process.url, quick)
    catalog = MongoCatalog(database)
    await catalog.save_product(product("p"), 0, [])
    category = CategoryRecord(id="c", name="C", version=1)
    mongo_process.pause()
    try:
        async with asyncio.timeout(15):
            with pytest.raises(StoreUnavailable):
                await catalog.product("p")
            with pytest.raises((OutcomeUnknown, StoreUnavailable)):
                await catalog.save_category(category, 0)
            # More than there are connections: each has its answer by its own deadline.
            many = await asyncio.gather(*(catalog.product("p") for _ in range(40)), return_exceptions=True)
            assert all(isinstance(one, StoreUnavailable) for one in many)
    finally:
        mongo_process.resume()
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(StoreUnavailable):
                assert await catalog.product("p") == product("p")
                break
            await asyncio.sleep(0.05)
    await database.close()


async def test_a_write_that_was_sent_and_not_answered_is_unknown(
    settings: StoreSettings, mongo_process: MongoProcess
) -> None:
    from persistence.mongo.schema import prepare

    await prepare(mongo_process.url)
    quick = settings.model_copy(
        update={"connect_timeout_ms": 5_000, "statement_timeout_ms": 1_000, "answer_timeout_ms": 2_000}
    )
    database = MongoDatabase(mongo_process.url, quick)
    catalog = MongoCatalog(database)
    # A connection is there, so the next operation is sent at once.
    await catalog.save_category(CategoryRecord(id="a", name="A", version=1), 0)
    mongo_process.pause()
    try:
        with pytest.raises(OutcomeUnknown):
            await catalog.save_category(CategoryRecord(id="b", name="B", version=1), 0)
    finally:
        mongo_process.resume()
        await database.close()
