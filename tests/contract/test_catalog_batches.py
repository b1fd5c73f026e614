"""The catalog: many products in one call, each whole or not at all, and reading all of it."""

import asyncio

import pytest

from persistence.errors import AlreadyExists, StaleVersion, WriteRefused
from persistence.ports import Catalog
from persistence.records import ProductRecord, ProductWrite
from persistence.stores import Stores
from tests.contract.adapters import CATALOGS, stores_of
from tests.contract.builders import event, product, variant


@pytest.fixture(params=CATALOGS)
def stores(request: pytest.FixtureRequest) -> Stores:
    return stores_of(request)


@pytest.fixture
def catalog(stores: Stores) -> Catalog:
    return stores.catalog


def write(row: ProductRecord, expected_version: int = 0) -> ProductWrite:
    return ProductWrite(product=row, expected_version=expected_version, events=(event(row.id, row.version),))


async def events_of(stores: Stores) -> list[tuple[str, int]]:
    return [(row.event.entity_id, row.event.version) for row in await stores.outboxes["catalog"].read(99)]


async def test_products_are_made_and_changed_in_one_call(stores: Stores) -> None:
    catalog = stores.catalog
    assert await catalog.save_products([write(product("b")), write(product("a"))]) == {}
    assert await catalog.save_products([write(product("c")), write(product("a", 2, name="new"), 1)]) == {}
    assert await catalog.products_by_id(["a", "b", "c", "absent"]) == {
        "a": product("a", 2, name="new"), "b": product("b"), "c": product("c")
    }  # fmt: skip
    assert await events_of(stores) == [("b", 1), ("a", 1), ("c", 1), ("a", 2)]
    assert set(await catalog.prices(["A", "B", "C"])) == {"A", "B", "C"}
    assert await catalog.save_products([]) == {}


async def test_who_is_refused_is_named_and_the_others_are_written(stores: Stores) -> None:
    catalog = stores.catalog
    held = [write(product("old")), write(product("gone")), write(product("other", variants=[variant("HELD")]))]
    await catalog.save_products(held)
    await catalog.delete_product("gone", 1, [])
    refused = await catalog.save_products([
        write(product("good")),
        write(product("old")),
        write(product("gone")),
        write(product("absent", 2), 1),
        write(product("other", 3, variants=[variant("HELD")]), 2),
        write(product("thief", variants=[variant("FREE"), variant("HELD", 1, 9)])),
        write(product("twice", variants=[variant("T"), variant("T")])),
        write(product("negative", variants=[variant("N", -1)])),
        write(product("fine")),
    ])  # fmt: skip
    kinds = {product_id: type(error) for product_id, error in refused.items()}
    assert kinds == {
        "old": AlreadyExists, "gone": AlreadyExists, "absent": StaleVersion, "other": StaleVersion,
        "thief": AlreadyExists, "twice": AlreadyExists, "negative": WriteRefused,
    }  # fmt: skip
    assert set(await catalog.products_by_id([*kinds, "good", "fine"])) == {"old", "other", "good", "fine"}
    assert (await catalog.products_by_id(["other"]))["other"].version == 1
    assert set(await catalog.prices(["GOOD", "FINE", "FREE", "T", "N", "HELD"])) == {"GOOD", "FINE", "HELD"}
    assert [entity for entity, _ in await events_of(stores)] == ["old", "gone", "other", "good", "fine"]


async def test_a_price_version_that_is_taken_refuses_its_product_alone(catalog: Catalog) -> None:
    await catalog.save_products([write(product("a", variants=[variant("A", 100, 5)])), write(product("b"))])
    refused = await catalog.save_products([
        write(product("a", 2, variants=[variant("A", 90, 5)]), 1), write(product("b", 2, name="new"), 1)
    ])  # fmt: skip
    assert {product_id: type(error) for product_id, error in refused.items()} == {"a": StaleVersion}
    assert (await catalog.prices(["A"]))["A"].price_minor == 100
    assert (await catalog.products_by_id(["b"]))["b"].name == "new"


async def test_skus_change_places_within_one_call(catalog: Catalog) -> None:
    await catalog.save_products([write(product(name, variants=[variant(name.upper())])) for name in ("a", "b")])
    swapped = [
        write(product("a", 2, variants=[variant("B", 1, 2)]), 1), write(product("b", 2, variants=[variant("A", 2, 2)]), 1)
    ]  # fmt: skip
    assert await catalog.save_products(swapped) == {}
    prices = await catalog.prices(["A", "B"])
    assert {sku: (price.product_id, price.price_minor) for sku, price in prices.items()} == {
        "A": ("b", 2),
        "B": ("a", 1),
    }


async def test_a_sku_is_not_free_when_the_product_that_lets_it_go_is_refused(catalog: Catalog) -> None:
    await catalog.save_products([write(product("a", variants=[variant("A")]))])
    refused = await catalog.save_products([
        write(product("a", 7, variants=[variant("X")]), 6), write(product("b", variants=[variant("A", 1, 2)]))
    ])  # fmt: skip
    assert {name: type(error) for name, error in refused.items()} == {"a": StaleVersion, "b": AlreadyExists}
    assert (await catalog.prices(["A", "X"]))["A"].product_id == "a"
    assert set(await catalog.prices(["A", "X"])) == {"A"}


async def test_of_two_that_claim_a_sku_in_one_call_one_gets_it(catalog: Catalog) -> None:
    refused = await catalog.save_products([write(product(name, variants=[variant("S")])) for name in ("a", "b")])
    assert {name: type(error) for name, error in refused.items()} == {"b": AlreadyExists}
    with pytest.raises(ValueError, match="once"):
        await catalog.save_products([write(product("a")), write(product("a"))])


async def test_concurrent_batches_over_the_same_products_do_not_block_each_other(catalog: Catalog) -> None:
    names = [f"p{n}" for n in range(20)]
    await catalog.save_products([write(product(name)) for name in names])
    forward = [write(product(name, 2, name="f"), 1) for name in names]
    backward = [write(product(name, 2, name="b"), 1) for name in reversed(names)]
    first, second = await asyncio.gather(catalog.save_products(forward), catalog.save_products(backward))
    # Of each product one of the two wrote; in a store without transactions not all of them the same.
    assert sorted([*first, *second]) == sorted(names)
    assert {row.id: row.name for row in (await catalog.products_by_id(names)).values()} == {
        name: "b" if name in first else "f" for name in names
    }


async def test_the_whole_catalog_is_read_by_id(catalog: Catalog) -> None:
    names = ["B", "a", "a-1", "a_1", "c"]
    await catalog.save_products([write(product(name, variants=[variant(f"SKU-{name}")])) for name in reversed(names)])
    await catalog.save_products([write(product("gone"))])
    await catalog.delete_product("gone", 1, [])
    read: list[str] = []
    while page := await catalog.products_behind(read[-1] if read else "", 2):
        assert len(page) <= 2
        read += [row.id for row in page]
    assert read == names
    assert (await catalog.products_behind("B", 1))[0] == product("a", variants=[variant("SKU-a")])
