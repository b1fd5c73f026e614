"""The catalog: versions, price versions, lists."""

import asyncio

import pytest

from persistence.errors import AlreadyExists, StaleVersion, WriteRefused
from persistence.ports import Catalog
from persistence.records import CategoryRecord, ProductQuery
from persistence.stores import Stores
from tests.contract.adapters import CATALOGS, stores_of
from tests.contract.builders import event, product, variant


@pytest.fixture(params=CATALOGS)
def stores(request: pytest.FixtureRequest) -> Stores:
    return stores_of(request)


@pytest.fixture
def catalog(stores: Stores) -> Catalog:
    return stores.catalog


async def list_all(catalog: Catalog, query: ProductQuery) -> tuple[list[str], set[int]]:
    """The ids of all pages, and the totals that the pages told."""
    ids: list[str] = []
    totals: set[int] = set()
    cursor: str | None = None
    while True:
        settings = {name: getattr(query, name) for name in query.__struct_fields__} | {"cursor": cursor}
        rows, cursor, total = await catalog.products(ProductQuery(**settings))
        ids += [row.id for row in rows]
        totals.add(total)
        if cursor is None:
            return ids, totals


async def fill(catalog: Catalog) -> None:
    rows = [
        product("p1", name="banana", variants=[variant("A", 300), variant("B", 100)], created_at_ms=1),
        product("p2", name="Apple", variants=[variant("C", 100)], categories=("audio", "computers"), created_at_ms=2),
        product("p3", name="apple", variants=[variant("D", 200)], categories=("audio",), created_at_ms=3),
        product("p4", name="Ärger", variants=[variant("E", 900)], categories=(), created_at_ms=3),
    ]
    for row in rows:
        await catalog.save_product(row, 0, [])


async def test_a_product_comes_back_whole(stores: Stores) -> None:
    await stores.catalog.save_product(product(), 0, [event("prod-laptop-001", 1)])
    assert await stores.catalog.product("prod-laptop-001") == product()
    assert await stores.catalog.product("prod-laptop-002") is None
    assert [row.topic for row in await stores.outboxes["catalog"].read(9)] == ["catalog-events"]


async def test_a_product_is_changed_at_its_version_only(catalog: Catalog) -> None:
    await catalog.save_product(product(), 0, [])
    with pytest.raises(StaleVersion):
        await catalog.save_product(product(version=3, name="x"), 2, [])
    with pytest.raises(StaleVersion):
        await catalog.save_product(product("absent", version=2), 1, [])
    with pytest.raises(AlreadyExists):
        await catalog.save_product(product(), 0, [])
    await catalog.save_product(product(version=2, name="x"), 1, [])
    row = await catalog.product("prod-laptop-001")
    assert row is not None
    assert (row.name, row.version) == ("x", 2)


async def test_of_concurrent_changes_one_wins(catalog: Catalog) -> None:
    await catalog.save_product(product(), 0, [])
    changes = [catalog.save_product(product(version=2, name=f"n{n}"), 1, []) for n in range(5)]
    results = await asyncio.gather(*changes, return_exceptions=True)
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, StaleVersion) for result in results) == 4


async def test_a_sku_belongs_to_one_product(catalog: Catalog) -> None:
    await catalog.save_product(product("p1", variants=[variant("A")]), 0, [])
    with pytest.raises(AlreadyExists):
        await catalog.save_product(product("p2", variants=[variant("B"), variant("A", price_version=2)]), 0, [])
    with pytest.raises(AlreadyExists):
        await catalog.save_product(product("p2", variants=[variant("B"), variant("B")]), 0, [])
    assert await catalog.product("p2") is None
    assert set(await catalog.prices(["A", "B"])) == {"A"}


async def test_a_new_price_replaces_the_old_one_and_a_rename_does_not(catalog: Catalog) -> None:
    await catalog.save_product(product("p1", variants=[variant("A", 100)]), 0, [])
    first = (await catalog.prices(["A"]))["A"]
    assert (first.version, first.price_minor, first.replaced_at_ms, first.product_id) == (1, 100, None, "p1")
    await catalog.save_product(product("p1", 2, name="renamed", variants=[variant("A", 100)]), 1, [])
    renamed = (await catalog.prices(["A"]))["A"]
    assert (renamed.version, renamed.name, renamed.valid_from_ms) == (1, "renamed", first.valid_from_ms)
    await catalog.save_product(product("p1", 3, variants=[variant("A", 120, 2)]), 2, [])
    second = (await catalog.prices(["A"]))["A"]
    assert (second.version, second.price_minor, second.currency) == (2, 120, "USD")


async def test_a_price_version_never_changes(catalog: Catalog) -> None:
    await catalog.save_product(product("p1", variants=[variant("A", 100, 2)]), 0, [])
    for wrong in (variant("A", 120, 2), variant("A", 100, 1)):
        with pytest.raises(StaleVersion):
            await catalog.save_product(product("p1", 2, variants=[wrong]), 1, [])
    with pytest.raises(WriteRefused):
        await catalog.save_product(product("p1", 2, variants=[variant("A", -1, 3)]), 1, [])
    assert (await catalog.prices(["A"]))["A"].price_minor == 100
    assert await catalog.product("p1") == product("p1", variants=[variant("A", 100, 2)])


async def test_a_removed_variant_cannot_be_bought(catalog: Catalog) -> None:
    await catalog.save_product(product("p1", variants=[variant("A"), variant("B")]), 0, [])
    await catalog.save_product(product("p1", 2, variants=[variant("B")]), 1, [])
    assert set(await catalog.prices(["A", "B"])) == {"B"}
    await catalog.save_product(product("p2", variants=[variant("A", 5, 2)]), 0, [])
    assert (await catalog.prices(["A"]))["A"].product_id == "p2"


async def test_a_deleted_product_is_gone_and_its_id_stays_taken(stores: Stores) -> None:
    catalog = stores.catalog
    await catalog.save_product(product("p1", variants=[variant("A")]), 0, [])
    with pytest.raises(StaleVersion):
        await catalog.delete_product("p1", 2, [])
    await catalog.delete_product("p1", 1, [event("p1", 2)])
    assert await catalog.product("p1") is None
    assert await catalog.prices(["A"]) == {}
    assert await catalog.products(ProductQuery()) == ([], None, 0)
    with pytest.raises(AlreadyExists):
        await catalog.save_product(product("p1"), 0, [])
    with pytest.raises(StaleVersion):
        await catalog.save_product(product("p1", 3), 2, [])
    with pytest.raises(StaleVersion):
        await catalog.delete_product("p1", 2, [])
    assert [row.event.version for row in await stores.outboxes["catalog"].read(9)] == [2]


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_products_are_listed_page_by_page(catalog: Catalog, limit: int) -> None:
    await fill(catalog)
    by_name = await list_all(catalog, ProductQuery(sort="name", limit=limit))
    assert by_name == (["p2", "p3", "p1", "p4"], {4})
    assert (await list_all(catalog, ProductQuery(sort="price", limit=limit)))[0] == ["p1", "p2", "p3", "p4"]
    assert (await list_all(catalog, ProductQuery(sort="-price", limit=limit)))[0] == ["p4", "p3", "p2", "p1"]
    assert (await list_all(catalog, ProductQuery(sort="newest", limit=limit)))[0] == ["p4", "p3", "p2", "p1"]


async def test_products_are_filtered(catalog: Catalog) -> None:
    await fill(catalog)
    assert await list_all(catalog, ProductQuery(category="audio", limit=1)) == (["p2", "p3"], {2})
    assert (await list_all(catalog, ProductQuery(min_price_minor=200)))[0] == ["p3", "p4"]
    assert (await list_all(catalog, ProductQuery(min_price_minor=100, max_price_minor=100)))[0] == ["p2", "p1"]
    assert (await list_all(catalog, ProductQuery(skus_in_stock=frozenset({"A", "E"}))))[0] == ["p1", "p4"]
    assert await list_all(catalog, ProductQuery(skus_in_stock=frozenset())) == ([], {0})
    assert await list_all(catalog, ProductQuery(category="none")) == ([], {0})
    every = ProductQuery(
        category="audio",
        min_price_minor=50,
        max_price_minor=250,
        skus_in_stock=frozenset("CDE"),
        sort="-price",
        limit=1,
    )
    assert await list_all(catalog, every) == (["p3", "p2"], {2})


async def test_a_cursor_of_another_list_is_refused(catalog: Catalog) -> None:
    await fill(catalog)
    _, cursor, _ = await catalog.products(ProductQuery(sort="name", limit=1))
    assert cursor is not None
    for foreign in (ProductQuery(sort="price", cursor=cursor), ProductQuery(cursor="zzz")):
        with pytest.raises(ValueError, match="cursor"):
            await catalog.products(foreign)


async def test_categories_tell_how_many_products_they_have(catalog: Catalog) -> None:
    await fill(catalog)
    for category in (("computers", "Computers"), ("audio", "Audio"), ("gaming", "Gaming")):
        await catalog.save_category(CategoryRecord(id=category[0], name=category[1], version=1), 0)
    rows = await catalog.categories()
    assert [(row.id, row.product_count) for row in rows] == [("audio", 2), ("computers", 2), ("gaming", 0)]
    assert [await catalog.category(row.id) for row in rows] == rows
    assert await catalog.category("none") is None
    assert await catalog.category_ids() == {"audio", "computers", "gaming"}
    # Counted once each, and not when it is gone.
    await catalog.save_product(product("p5", variants=[variant("F")], categories=("gaming", "gaming")), 0, [])
    await catalog.delete_product("p2", 1, [])
    assert {row.id: row.product_count for row in await catalog.categories()} == {
        "audio": 1,
        "computers": 1,
        "gaming": 1,
    }


async def test_a_category_is_changed_and_deleted_at_its_version_only(catalog: Catalog) -> None:
    await catalog.save_category(CategoryRecord(id="audio", name="Audio", version=1), 0)
    with pytest.raises(AlreadyExists):
        await catalog.save_category(CategoryRecord(id="audio", name="Audio", version=1), 0)
    with pytest.raises(StaleVersion):
        await catalog.save_category(CategoryRecord(id="audio", name="Sound", version=3), 2)
    await catalog.save_category(CategoryRecord(id="audio", name="Sound", version=2), 1)
    assert [row.name for row in await catalog.categories()] == ["Sound"]
    with pytest.raises(StaleVersion):
        await catalog.delete_category("audio", 1)
    await catalog.delete_category("audio", 2)
    assert await catalog.categories() == []
