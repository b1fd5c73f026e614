"""The indexer: the index follows the catalog, whatever the events' order, and is built once."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.consumers import background_of, consumers_of
from actors.search_indexer import FirstBuild, SearchIndexer, pages_of
from persistence.errors import WriteRefused
from persistence.memory.product_search import MemoryProductSearch
from persistence.memory.seams import Seams
from persistence.memory.tables import SearchTables
from persistence.records import NewEvent, ProductRecord, SearchQuery
from persistence.stores import Stores, open_memory_stores
from tests.contract.builders import event, product


@pytest.fixture
def stores() -> Stores:
    return open_memory_stores(lambda: 0)


def changed(product_id: str, version: int) -> NewEvent:
    return event(product_id, version, entity_type="product")


async def seen(stores: Stores) -> dict[str, int]:
    page = await stores.search.search(SearchQuery(text="", limit=100))
    return {each.id: each.version for each in page.products}


async def test_products_are_indexed_as_they_are_now_and_deleted_ones_go(stores: Stores) -> None:
    indexer = SearchIndexer(stores.catalog, stores.search)
    await stores.catalog.save_product(product("p1"), 0, [])
    await stores.catalog.save_product(product("p1", 2, name="Renamed"), 1, [])
    await stores.catalog.save_product(product("p2"), 0, [])
    await indexer.handle([changed("p1", 1), changed("p2", 1)])
    assert await seen(stores) == {"p1": 2, "p2": 1}
    await stores.catalog.delete_product("p1", 2, [])
    await indexer.handle([changed("p1", 2)])  # an event from before the deletion
    await indexer.handle([changed("p1", 3), changed("p1", 3)])
    assert await seen(stores) == {"p2": 1}
    await stores.search.index([product("p1", 2)])
    assert await seen(stores) == {"p2": 1}


async def test_events_of_others_are_passed_over(stores: Stores) -> None:
    indexer = SearchIndexer(stores.catalog, stores.search)
    await stores.search.index([product("computers")])
    await indexer.handle([])
    await indexer.handle([event("computers", 9, entity_type="category")])
    assert await seen(stores) == {"computers": 1}


async def test_a_product_that_is_refused_does_not_keep_the_others_out(stores: Stores) -> None:
    class Picky(MemoryProductSearch):
        async def index(self, products: Sequence[ProductRecord]) -> None:
            if any(each.id == "bad" for each in products):
                raise WriteRefused("22021")
            await super().index(products)

    search = Picky(SearchTables())
    for product_id in ("a", "bad", "z"):
        await stores.catalog.save_product(product(product_id), 0, [])
    await SearchIndexer(stores.catalog, search).handle([changed(each, 1) for each in ("a", "bad", "z")])
    found = await search.search(SearchQuery(text=""))
    assert [each.id for each in found.products] == ["a", "z"]


async def test_the_index_is_built_once_from_the_whole_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.search_indexer.PAGE_PRODUCTS_MAX", 2)
    built, asked = asyncio.Event(), asyncio.Event()

    async def watch(call: str) -> None:
        if call == "search.end_build":
            built.set()
        elif call == "search.is_built":
            asked.set()

    stores = open_memory_stores(lambda: 0, seams=Seams(after=watch))
    for n in range(5):
        await stores.catalog.save_product(product(f"p{n}"), 0, [])
    await stores.search.index([product("p1")])  # the indexer was faster with one of them
    first = asyncio.create_task(FirstBuild(stores.catalog, stores.search).run())
    await built.wait()
    assert await seen(stores) == {f"p{n}": 1 for n in range(5)}
    assert not first.done()
    first.cancel()
    built.clear()
    asked.clear()
    again = asyncio.create_task(FirstBuild(stores.catalog, stores.search).run())
    await asked.wait()
    await asyncio.sleep(0)
    assert not built.is_set()
    again.cancel()


async def test_every_product_comes_in_some_page(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.search_indexer.PAGE_PRODUCTS_MAX", 2)
    assert [page async for page in pages_of(stores.catalog)] == []
    for n in range(4):
        await stores.catalog.save_product(product(f"p{n}"), 0, [])
    assert [[each.id for each in page] async for page in pages_of(stores.catalog)] == [["p0", "p1"], ["p2", "p3"]]


def test_it_is_the_one_consumer_of_the_catalog(stores: Stores) -> None:
    followers = [each for each in consumers_of(stores, lambda: 0) if "catalog" in each.outboxes]
    assert [each.name for each in followers] == ["search-indexer"]
    assert any(isinstance(each, FirstBuild) for each in background_of(stores, lambda: 0))


_CHANGES = st.lists(
    st.tuples(st.sampled_from(["p1", "p2"]), st.integers(1, 6), st.booleans()), min_size=1, max_size=10, unique=True
)


@given(changes=_CHANGES, shuffled=st.randoms())
def test_any_order_of_the_same_changes_ends_the_same(changes: list[tuple[str, int, bool]], shuffled: object) -> None:
    async def index_after(order: Sequence[tuple[str, int, bool]]) -> object:
        search = MemoryProductSearch(SearchTables())
        for product_id, version, deleted in order:
            if deleted:
                await search.remove({product_id: version})
            else:
                await search.index([product(product_id, version, name=f"Name {version}")])
        return msgspec.to_builtins([search.tables.live.documents, search.tables.live.removed])

    other = list(changes)
    shuffled.shuffle(other)  # type: ignore[attr-defined]
    assert asyncio.run(index_after(changes)) == asyncio.run(index_after(other))
