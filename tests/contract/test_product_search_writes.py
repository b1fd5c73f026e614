"""The search index: which version wins, what goes with a product, and how the index is rebuilt."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest

from persistence.errors import StaleVersion
from persistence.ports import ProductSearch
from persistence.records import ProductRecord, SearchQuery
from persistence.stores import Stores
from tests.contract.adapters import SEARCHES, stores_of
from tests.contract.builders import product
from tests.contract.sample_products import counts, found, pages, sample_products, seen


@pytest.fixture(params=SEARCHES)
def stores(request: pytest.FixtureRequest) -> Stores:
    return stores_of(request)


@pytest.fixture
def search(stores: Stores) -> ProductSearch:
    return stores.search


async def test_the_greater_version_wins(search: ProductSearch) -> None:
    await search.index([product("p1", 3, name="Three")])
    await search.index([product("p1", 2, name="Two")])
    assert await found(search, "three") == ["p1"]
    assert await found(search, "two") == []
    await search.index([product("p1", 5, name="Five"), product("p1", 4, name="Four")])
    assert await seen(search) == {"p1": 5}
    assert await found(search, "five") == ["p1"]
    assert await search.suggest("three", 10) == []


async def test_a_removed_product_does_not_come_back(search: ProductSearch) -> None:
    await search.index([product("p1", 3), product("p2", 1)])
    await search.remove({"p1": 2})
    assert set(await seen(search)) == {"p1", "p2"}
    await search.remove({"p1": 4, "p3": 2})
    await search.index([product("p1", 3), product("p1", 4), product("p3", 1)])
    assert set(await seen(search)) == {"p2"}
    await search.remove({"p1": 4})
    await search.index([product("p1", 5)])
    assert await seen(search) == {"p1": 5, "p2": 1}


async def test_what_a_product_was_found_by_goes_with_it(search: ProductSearch) -> None:
    old = msgspec.structs.replace(product("p1", 1, name="Zebra"), brand="Acme", categories=("zoo",))
    await search.index([old])
    assert await search.suggest("acm", 10) == ["Acme"]
    await search.index([msgspec.structs.replace(old, version=2, name="Lion", brand="Other", categories=())])
    for text in ("zebra", "zebar", "acme", "zoo"):
        assert await found(search, text) == [], text
    assert await search.suggest("acm", 10) == await search.suggest("zo", 10) == []
    page = await search.search(SearchQuery(text=""))
    assert counts(page)["brand"] == {"Other": 1}
    assert counts(page)["category"] == {}


async def test_a_brand_is_shown_as_written_while_a_product_has_it(search: ProductSearch) -> None:
    await search.index([msgspec.structs.replace(product(each), brand="Acme Öl") for each in ("p1", "p2")])
    await search.remove({"p1": 2})
    assert await search.suggest("acme ol", 10) == ["Acme Öl"]
    await search.remove({"p2": 2})
    assert await search.suggest("acme ol", 10) == []


async def test_writes_at_once_end_as_one_after_another(search: ProductSearch) -> None:
    rows = [product(f"p{n}", version, name=f"Thing {version}") for version in (1, 2, 3) for n in range(8)]
    await asyncio.gather(
        *(search.index([row]) for row in rows), *(search.remove({f"p{n}": 4}) for n in range(4)), search.index(rows)
    )
    assert await seen(search) == {f"p{n}": 3 for n in range(4, 8)}
    # The vocabulary was counted right: once the last is gone, no word is left.
    await search.remove({f"p{n}": 4 for n in range(4, 8)})
    assert await search.suggest("computers", 10) == []
    assert await found(search, "thinq") == []


async def test_a_rebuild_makes_the_index_anew(search: ProductSearch) -> None:
    assert not await search.is_built()
    await search.index([product("old", name="Old thing"), product("both", 2, name="Was")])
    assert await search.rebuild(pages(product("new", name="New thing"), product("both", 1, name="Is"))) == 2
    assert await search.is_built()
    assert await seen(search) == {"new": 1, "both": 1}  # the source is right, whatever the index had
    assert await found(search, "old") == await found(search, "was") == []
    await search.index([product("more")])
    assert await search.rebuild(pages()) == 0
    assert await seen(search) == {}


async def test_a_rebuild_loses_no_write_and_searches_see_the_old_until_the_end(search: ProductSearch) -> None:
    await search.index([product("a"), product("b"), product("c", 7)])

    async def source() -> AsyncIterator[Sequence[ProductRecord]]:
        yield [product("a", 1), product("b", 1)]
        await search.index([product("a", 2), product("late", 1)])
        await search.remove({"b": 2, "d": 3})
        assert await seen(search) == {"a": 2, "c": 7, "late": 1}
        yield [product("a", 1), product("b", 1), product("d", 2), product("e", 1)]
        assert await seen(search) == {"a": 2, "c": 7, "late": 1}

    assert await search.rebuild(source()) == 3
    assert await seen(search) == {"a": 2, "late": 1, "e": 1}
    await search.index([product("b", 1), product("d", 2)])
    assert await seen(search) == {"a": 2, "late": 1, "e": 1}


async def test_what_was_removed_before_a_rebuild_stays_removed(search: ProductSearch) -> None:
    await search.index([product("a", 1), product("b", 1)])
    await search.remove({"a": 2, "b": 2})
    await search.rebuild(pages(product("b", 1)))  # a catalog that was restored has it again
    await search.index([product("a", 1)])
    assert await seen(search) == {"b": 1}


async def test_a_failed_rebuild_changes_nothing(search: ProductSearch) -> None:
    await search.index([product("a")])

    async def broken() -> AsyncIterator[Sequence[ProductRecord]]:
        yield [product("b")]
        raise RuntimeError("the catalog is away")

    with pytest.raises(RuntimeError, match="away"):
        await search.rebuild(broken())
    assert not await search.is_built()
    assert await seen(search) == {"a": 1}
    assert await search.rebuild(pages(product("c"))) == 1
    assert await seen(search) == {"c": 1}


async def test_the_later_of_two_rebuilds_goes_on(search: ProductSearch) -> None:
    await search.index([product("a")])

    async def overtaken() -> AsyncIterator[Sequence[ProductRecord]]:
        yield [product("first")]
        assert await search.rebuild(pages(product("second"))) == 1
        yield [product("first-too")]

    with pytest.raises(StaleVersion):
        await search.rebuild(overtaken())
    assert await seen(search) == {"second": 1}
    await search.index([product("third")])
    assert await seen(search) == {"second": 1, "third": 1}


async def test_searches_never_see_a_gap_between_rebuilds(search: ProductSearch) -> None:
    rows = sample_products()
    await search.rebuild(pages(*rows))
    over = asyncio.Event()

    async def shop() -> int:
        searches = 0
        while not over.is_set():
            assert len(await found(search, "gaming")) == 5
            searches += 1
            await asyncio.sleep(0)
        return searches

    shoppers = [asyncio.create_task(shop()) for _ in range(2)]
    for _ in range(4):
        assert await search.rebuild(pages(*rows)) == len(rows)
    over.set()
    assert all(await asyncio.gather(*shoppers))
