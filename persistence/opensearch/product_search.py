"""The search index in OpenSearch. Words, corrections and ranks are those of `persistence/search_….py`."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from persistence.errors import StoreError, StoreUnavailable
from persistence.opensearch.bodies import (
    Body,
    has_words,
    is_there,
    key_of,
    known_word,
    names_from,
    names_with,
    page_of,
    phrase_of,
    phrases_from,
    similar_words,
)
from persistence.opensearch.faults import IndexGone, ShardsFailed
from persistence.opensearch.indexes import Indexes, put_lines, removal_lines
from persistence.opensearch.server import Server
from persistence.opensearch_url import parse_opensearch_url
from persistence.records import FacetCount, ProductRecord, SearchPage, SearchQuery
from persistence.search_documents import document_of
from persistence.search_pages import counted, first_different, next_cursor, position, price_ranges, sort_of
from persistence.search_spelling import (
    CANDIDATES_MAX,
    CORRECTED_WORDS_MAX,
    correctable,
    grams,
    likeliest,
    similarity,
    with_corrections,
)
from persistence.search_words import QueryWord, is_blank, query_words, words_of
from persistence.settings import StoreSettings

WRITE_PRODUCTS_MAX: Final = 200
"""Products of one bulk request."""

_READS_MAX: Final = 3
"""An index that goes while it is read is live no more: the read is made again."""

_PRODUCT: Final = msgspec.json.Decoder(ProductRecord)
_NOTHING: Final[Mapping[str, tuple[FacetCount, ...]]] = {"category": (), "brand": (), "price": ()}


class OpenSearchProductSearch:
    """One index behind an alias; a rebuild fills another, which every write reaches too, and then takes its place.

    Greatest versions win by OpenSearch's external versions. What is indexed is seen by the next search: a write
    refreshes the index. A search is one to four requests; page, total and facets are one of them.
    """

    def __init__(self, server: Server, prefix: str) -> None:
        self._server = server
        self._indexes = Indexes(server, prefix)

    async def index(self, products: Sequence[ProductRecord]) -> None:
        """Add or replace each, unless the index has a greater version of it (a removed one counts)."""
        for start in range(0, len(products), WRITE_PRODUCTS_MAX):
            documents = [document_of(product) for product in products[start : start + WRITE_PRODUCTS_MAX]]
            await self._indexes.write(put_lines(documents))

    async def remove(self, products: Mapping[str, int]) -> None:
        """Remove products that were deleted at these versions, unless the index has a greater one."""
        if products:
            await self._indexes.write(removal_lines(products))

    async def is_built(self) -> bool:
        """Whether a rebuild was ever finished, and its index is still there."""
        return await self._indexes.is_built()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._server.close()

    async def check(self) -> None:
        """Raises `StoreMisconfigured` if the server is of no use, `StoreUnavailable` if it is away."""
        await self._server.check()

    async def probe(self) -> None:
        """The cheapest read that needs the server and the index. Raises `StoreUnavailable`."""
        await self._found([is_there(has_words(()))])

    async def rebuild(self, products: AsyncIterator[Sequence[ProductRecord]]) -> int:
        """Make the index anew. Raises `StaleVersion` if another rebuild has begun since."""
        name = self._indexes.new_name()
        try:
            await self._indexes.begin_build(name)
            async for page in products:
                for start in range(0, len(page), WRITE_PRODUCTS_MAX):
                    documents = [document_of(product) for product in page[start : start + WRITE_PRODUCTS_MAX]]
                    await self._indexes.add_to_build(name, put_lines(documents))
            return await self._indexes.end_build(name)
        except BaseException:
            # Also when cancelled: else every later write would go to an index that nobody finishes.
            with contextlib.suppress(StoreError):
                await self._indexes.drop(name)
            raise

    async def search(self, query: SearchQuery) -> SearchPage:
        """A page of what is found, with facets."""
        position(query)  # a foreign cursor is refused before anything is read
        words = query_words(query.text)
        if not words and not is_blank(query.text):
            return SearchPage(products=(), next_cursor=None, facets=dict(_NOTHING), total=0)
        unknown = await self._unknown(words)
        read = await self._corrected(words, unknown)
        page, found = await self._page(query, read, every=True)
        if found or not words:
            return page
        more = await self._corrected(read, [word for word in correctable(words) if word not in unknown])
        if more != read:
            page, found = await self._page(query, more, every=True)
        if not found and len(words) > 1:
            page, found = await self._page(query, more, every=False)
        return page

    async def suggest(self, text: str, limit: int) -> list[str]:
        """Brands and categories that begin so, names that begin so, names with words that begin so."""
        words = query_words(text)
        if not words or limit < 1:
            return []
        typed = " ".join(words_of(text))
        phrases, beginning, having = await self._found(
            [phrases_from(typed), names_from(typed, limit), names_with(words, limit)]
        )
        shown = first_different([*_phrases(phrases)[:limit], *_names(beginning)], limit)
        if len(shown) < limit:
            shown = first_different([*shown, *_names(having)], limit)
        if not shown:
            read = await self._corrected(words, await self._unknown(words))
            (having,) = await self._found([names_with(read, limit)])
            shown = first_different(_names(having), limit)
        return shown

    async def _unknown(self, words: Sequence[QueryWord]) -> list[QueryWord]:
        """The words of letters that nothing in the vocabulary stands for."""
        asked = correctable(words)
        answers = await self._found([known_word(word) for word in asked]) if asked else []
        return [word for word, answer in zip(asked, answers, strict=True) if not answer["hits"]["hits"]]

    async def _corrected(self, words: Sequence[QueryWord], wrong: Sequence[QueryWord]) -> list[QueryWord]:
        asked = [word.word for word in wrong[:CORRECTED_WORDS_MAX]]
        answers = await self._found([similar_words(word) for word in asked]) if asked else []
        return with_corrections(
            words,
            {word: likeliest(word, _candidates(word, answer)) for word, answer in zip(asked, answers, strict=True)},
        )

    async def _page(self, query: SearchQuery, words: Sequence[QueryWord], *, every: bool) -> tuple[SearchPage, int]:
        """A page, and whether anything has the words, whatever the filters."""
        (answer,) = await self._found([page_of(query, words, every=every)])
        facets = answer["aggregations"]
        found = int(facets["found"]["doc_count"])
        if not found and query.skus_in_stock is not None:
            (anything,) = await self._found([is_there(has_words(words, every=every))])
            found = len(anything["hits"]["hits"])
        hits = answer["hits"]["hits"]
        shown = hits[: query.limit]
        cursor = None
        if len(hits) > query.limit:
            cursor = next_cursor(query, key_of(sort_of(query), shown[-1]["sort"]), shown[-1]["_id"])
        counts = {name: _counts(facets[name]["values"]) for name in _NOTHING}
        page = SearchPage(
            products=tuple(_PRODUCT.decode(hit["_source"]["document"]) for hit in shown),
            next_cursor=cursor,
            facets={
                "category": counted(counts["category"]),
                "brand": counted(counts["brand"]),
                "price": price_ranges({int(number): count for number, count in counts["price"].items()}),
            },
            total=int(answer["hits"]["total"]["value"]),
        )
        return page, found

    async def _found(self, bodies: Sequence[Body]) -> list[Mapping[str, Any]]:
        await self._indexes.ready()
        fault: StoreUnavailable | None = None
        for _ in range(_READS_MAX):
            try:
                return await self._server.searches(self._indexes.read_alias, bodies)
            except (IndexGone, ShardsFailed) as failed:
                fault = failed
        if isinstance(fault, IndexGone):
            raise StoreUnavailable("the search index is gone; it is built anew from the catalog") from fault
        assert fault is not None
        raise fault


def open_search(url: str, settings: StoreSettings) -> OpenSearchProductSearch:
    """The index that `OPENSEARCH_URL` names. Connects on first use."""
    server = parse_opensearch_url(url)
    return OpenSearchProductSearch(Server(server, settings), server.prefix)


def _candidates(word: str, answer: Mapping[str, Any]) -> list[str]:
    """Words of the vocabulary with a trigram of this word, most similar first."""
    asked = grams(word)
    alike = {key: similarity(asked, grams(key)) for key in _counts(answer["aggregations"]["words"])}
    return sorted((key for key in alike if alike[key] > 0), key=lambda key: (-alike[key], key))[:CANDIDATES_MAX]


def _phrases(answer: Mapping[str, Any]) -> list[str]:
    """Those of most products first. What differs by case or accents only counts as one, shown as most write it."""
    products: Counter[tuple[str, str]] = Counter()
    shown: dict[tuple[str, str], str] = {}
    rows = _counts(answer["aggregations"]["phrases"])
    for key in sorted(rows, key=lambda key: (-rows[key], key)):
        term, kind, text = phrase_of(key)
        products[term, kind] += rows[key]
        shown.setdefault((term, kind), text)
    return [shown[at] for at in sorted(products, key=lambda at: (-products[at], *at))]


def _names(answer: Mapping[str, Any]) -> list[str]:
    return [hit["_source"]["name"] for hit in answer["hits"]["hits"]]


def _counts(values: Mapping[str, Any]) -> dict[str, int]:
    return {bucket["key"]: int(bucket["doc_count"]) for bucket in values["buckets"] if bucket["doc_count"]}
