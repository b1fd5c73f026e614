"""The search index in OpenSearch alone: an index that is lost, a server that is killed, and settings that are wrong."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from actors.search_indexer import FirstBuild
from persistence.errors import OutcomeUnknown, StoreMisconfigured, StoreUnavailable, WriteRefused
from persistence.opensearch.bodies import similar_words
from persistence.opensearch.product_search import OpenSearchProductSearch, open_search
from persistence.ports import Catalog
from persistence.records import ProductRecord, SearchQuery
from persistence.settings import StoreSettings
from persistence.stores import Stores, open_memory_stores
from tests.contract.builders import product
from tests.contract.sample_products import found, pages, sample_products, seen, thing
from tests.servers.opensearch import OpenSearchProcess, ask, indexes, prefix_of, remove_indexes

SETTINGS = StoreSettings.of("postgresql://nobody@localhost/none", statement_timeout_ms=20_000, answer_timeout_ms=30_000)


@pytest.fixture
async def search(opensearch_url: str) -> AsyncIterator[OpenSearchProductSearch]:
    opened = open_search(opensearch_url, SETTINGS)
    yield opened
    await opened.close()


def names(server: str, url: str) -> list[str]:
    return indexes(server, prefix_of(url))


async def built_by_itself(catalog: Catalog, search: OpenSearchProductSearch) -> None:
    """What runs beside the indexer, until it has built."""
    done = asyncio.Event()

    class Telling(OpenSearchProductSearch):
        def __init__(self) -> None:
            self._server, self._indexes = search._server, search._indexes

        async def rebuild(self, products: AsyncIterator[Sequence[ProductRecord]]) -> int:
            count = await super().rebuild(products)
            done.set()
            return count

    building = asyncio.create_task(FirstBuild(catalog, Telling(), look_every_s=0.05).run())
    async with asyncio.timeout(60):
        await done.wait()
    building.cancel()
    await asyncio.gather(building, return_exceptions=True)
    assert await search.is_built()


async def test_a_lost_index_is_an_error_until_it_is_built_anew(
    search: OpenSearchProductSearch, opensearch_server: str, opensearch_url: str
) -> None:
    catalog = open_memory_stores(lambda: 0).catalog
    for row in sample_products():
        await catalog.save_product(row, 0, [])
    await built_by_itself(catalog, search)
    assert await found(search, "keybord")
    remove_indexes(opensearch_server, prefix_of(opensearch_url))
    assert not await search.is_built()
    for call in (found(search, "keybord"), search.suggest("gam", 5), search.probe()):
        with pytest.raises(StoreUnavailable, match="gone"):
            await call
    for write in (search.index([product("p1")]), search.remove({"p1": 2})):
        with pytest.raises(StoreUnavailable, match="gone"):
            await write
    assert names(opensearch_server, opensearch_url) == []  # nor is one made by a write

    await built_by_itself(catalog, search)
    assert len(await seen(search)) == 12


async def test_an_index_that_is_lost_while_it_is_rebuilt_is_made_all_the_same(
    search: OpenSearchProductSearch, opensearch_server: str, opensearch_url: str
) -> None:
    await search.rebuild(pages(product("a")))
    (live,) = names(opensearch_server, opensearch_url)

    async def source() -> AsyncIterator[Sequence[ProductRecord]]:
        yield [product("b")]
        ask("DELETE", f"{opensearch_server}/{live}")
        yield [product("c")]

    assert await search.rebuild(source()) == 2
    assert await seen(search) == {"b": 1, "c": 1}


async def test_one_index_is_left_however_rebuilds_end(
    search: OpenSearchProductSearch, opensearch_server: str, opensearch_url: str
) -> None:
    await search.index([product("a")])
    assert len(names(opensearch_server, opensearch_url)) == 1
    prefix = prefix_of(opensearch_url)
    # A rebuild that was killed while it filled its index, and one between the new names and the old one's end.
    for name, aliases in (("killed", {f"{prefix}-products-building": {}}), ("late", {})):
        body = {"aliases": {**aliases, f"{prefix}-products-v1-{name}-w": {}}}
        ask("PUT", f"{opensearch_server}/{prefix}-products-v1-{name}", body)
    await search.index([product("b")])
    assert await seen(search) == {"a": 1, "b": 1}
    assert await search.rebuild(pages(product("c"))) == 1
    assert len(names(opensearch_server, opensearch_url)) == 1
    assert await seen(search) == {"c": 1}


async def test_a_write_that_began_before_the_end_of_a_rebuild_is_in_the_new_index(
    search: OpenSearchProductSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    await search.rebuild(pages(product("a")))
    indexes = search._indexes
    stale = await indexes.state()
    await search.rebuild(pages(product("a")))
    now, answers = indexes.state, [stale]

    async def late() -> object:
        return answers.pop() if answers else await now()

    monkeypatch.setattr(indexes, "state", late)
    await search.index([product("b")])  # to the index that has gone first
    assert not answers
    assert await seen(search) == {"a": 1, "b": 1}


async def test_a_document_that_is_refused_is_told_and_the_others_are_written(search: OpenSearchProductSearch) -> None:
    with pytest.raises(WriteRefused):
        await search.index([product("a"), product("late", created_at_ms=2**63), product("b")])
    assert await seen(search) == {"a": 1, "b": 1}
    with pytest.raises(WriteRefused):
        await search.index([product("c"), product("x" * 600)])  # an id that no request may have
    assert await seen(search) == {"a": 1, "b": 1}


async def test_removals_outlive_the_memory_of_deleted_documents(
    search: OpenSearchProductSearch, opensearch_server: str, opensearch_url: str
) -> None:
    await search.index([product("a", 3)])
    prefix = prefix_of(opensearch_url)
    ask("PUT", f"{opensearch_server}/{prefix}-products/_settings", {"index": {"gc_deletes": "0s"}})
    await search.remove({"a": 4})
    ask("POST", f"{opensearch_server}/{prefix}-products/_forcemerge")
    await search.index([product("a", 3)])
    assert await seen(search) == {}


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_more_skus_than_a_clause_takes_can_be_in_stock(search: OpenSearchProductSearch) -> None:
    await search.index(sample_products())
    sku = sample_products()[0].variants[0].sku
    many = frozenset((*(f"other-{n:06}" for n in range(120_000)), sku))
    page = await search.search(SearchQuery(text="", skus_in_stock=many))
    assert [hit.id for hit in page.products] == [sample_products()[0].id]


async def test_a_typing_error_in_the_first_letter_and_another_is_mended(search: OpenSearchProductSearch) -> None:
    await search.index([thing("p1", "Keyboard"), thing("p2", "Kettle")])
    assert await found(search, "qeybaord") == ["p1"]
    assert similar_words("qeybaord")["query"]["bool"]["filter"][1]["fuzzy"]["vocabulary"]["prefix_length"] == 0


async def test_what_was_indexed_is_there_after_the_server_was_killed(opensearch_process: OpenSearchProcess) -> None:
    impatient = SETTINGS.model_copy(update={"answer_timeout_ms": 5_000})
    search = open_search(opensearch_process.url, impatient)
    try:
        await search.rebuild(pages(*sample_products()))
        await search.index([product("late", 7)])
        opensearch_process.kill()
        for call in (found(search), search.suggest("gam", 5), search.probe(), search.is_built()):
            with pytest.raises(StoreUnavailable):
                await call
        with pytest.raises((StoreUnavailable, OutcomeUnknown)):
            await search.index([product("later", 1)])
        opensearch_process.start()
        assert await search.is_built()
        async with asyncio.timeout(60):  # it answers before its shards do
            while True:
                try:
                    held = await seen(search)
                except StoreUnavailable:
                    await asyncio.sleep(0.1)
                else:
                    break
        assert held["late"] == 7
        assert len(held) == 13
        await search.index([product("late", 6), product("later", 1)])
        assert (await seen(search))["late"] == 7
    finally:
        await search.close()


class Answering(BaseHTTPRequestHandler):
    """A server that says what the test wants."""

    status = 200
    body = b"{}"

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, b'{"error":"Unauthorized"}', "refuses this user or password"),
        (403, b'{"error":{"type":"security_exception"}}', "does not let this user"),
        (200, b'{"version":{"number":"8.11.0"}}', "no OpenSearch"),
        (200, b'{"version":{"distribution":"opensearch","number":"1.3.9"}}', "too old"),
        (200, b"[]", "no OpenSearch"),
    ],
)
async def test_a_server_of_no_use_is_told_in_one_line(status: int, body: bytes, told: str) -> None:
    handler = type("Handler", (Answering,), {"status": status, "body": body})
    server = HTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    search = open_search(f"http://shop:s3cret@127.0.0.1:{server.server_port}", SETTINGS)
    try:
        with pytest.raises(StoreMisconfigured, match=told) as raised:
            await search.check()
        assert str(raised.value).startswith("OPENSEARCH_URL: ")
        assert "\n" not in str(raised.value)
        assert "s3cret" not in str(raised.value)
        with pytest.raises(StoreMisconfigured):
            await search.search(SearchQuery(text="x"))
    finally:
        await search.close()
        server.shutdown()
        server.server_close()


async def test_a_server_that_is_away_is_unavailable_and_nothing_was_written() -> None:
    search = open_search("http://127.0.0.1:1", SETTINGS)
    try:
        for call in (found(search), search.index([product("a")]), search.rebuild(pages()), search.is_built()):
            with pytest.raises(StoreUnavailable, match="not reached"):
                await call
    finally:
        await search.close()


@pytest.mark.postgres
async def test_the_store_has_its_name_in_health_checks(opensearch_stores: Stores) -> None:
    assert isinstance(opensearch_stores.search, OpenSearchProductSearch)
    await opensearch_stores.probes["opensearch"]()
