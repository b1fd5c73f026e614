"""The search index in PostgreSQL: full text for the words, trigrams of a vocabulary for typing errors."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

import asyncpg
import msgspec

from persistence.errors import StaleVersion, StoreError, StoreUnavailable
from persistence.postgres.database import Database
from persistence.postgres.product_search_query import SearchStatement, all_of
from persistence.postgres.product_search_writes import SlotWriter, patient
from persistence.postgres.queries import fill, load_queries
from persistence.records import FacetCount, ProductRecord, SearchPage, SearchQuery
from persistence.search_documents import document_of
from persistence.search_pages import (
    counted,
    descending,
    first_different,
    next_cursor,
    position,
    price_ranges,
    sort_of,
)
from persistence.search_spelling import (
    CANDIDATES_MAX,
    CORRECTED_WORDS_MAX,
    correctable,
    edits_allowed,
    grams,
    likeliest,
    with_corrections,
)
from persistence.search_words import QueryWord, is_blank, query_words, words_of

WRITE_PRODUCTS_MAX: Final = 200
"""Products of one transaction."""

_SWITCHES_MAX: Final = 5
_LAST_SIGN: Final = "\U0010ffff"
_PRODUCT: Final = msgspec.json.Decoder(ProductRecord)
_NOTHING: Final[Mapping[str, tuple[FacetCount, ...]]] = {"category": (), "brand": (), "price": ()}


class _Switched(Exception):
    """The tables that were read are not the live ones any more, and perhaps empty."""


class PostgresProductSearch:
    """Schema `catalog`, tables `search_…`.

    One search is two or three short statements: which tables are live, which words the catalog knows, and the page with
    its facets, all of one moment. Only a search that finds nothing goes on to more corrections, then to any of its words.

    Writers come one after another. A rebuild fills a second pair of tables while every write goes to both, then names
    it live: whoever reads meanwhile has the old one. One that was killed leaves the second pair to the next; two at a
    time: the later one goes on, the earlier one raises `StaleVersion`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_queries("search")

    async def index(self, products: Sequence[ProductRecord]) -> None:
        """Add or replace each, unless the index has a greater version of it (a removed one counts)."""
        for start in range(0, len(products), WRITE_PRODUCTS_MAX):
            documents = [document_of(product) for product in products[start : start + WRITE_PRODUCTS_MAX]]
            async with self._database.transaction() as connection:
                for slot in await self._hold(connection):
                    await SlotWriter(connection, self._sql, slot).put(documents)

    async def remove(self, products: Mapping[str, int]) -> None:
        """Remove products that were deleted at these versions, unless the index has a greater one."""
        async with self._database.transaction() as connection:
            for slot in await self._hold(connection):
                await SlotWriter(connection, self._sql, slot).remove(products)

    async def is_built(self) -> bool:
        """Whether a rebuild was ever finished."""
        records = await self._database.read(self._sql["state"])
        return bool(records) and bool(records[0]["built"])

    async def search(self, query: SearchQuery) -> SearchPage:
        """A page of what is found, with facets."""
        position(query)  # a foreign cursor is refused before anything is read
        words = query_words(query.text)
        if not words and not is_blank(query.text):
            return SearchPage(products=(), next_cursor=None, facets=dict(_NOTHING), total=0)
        for _ in range(_SWITCHES_MAX):
            try:
                return await self._search(await self._live(), query, words)
            except _Switched:
                continue
        raise StoreUnavailable("the search index was rebuilt again and again")

    async def _search(self, slot: str, query: SearchQuery, words: Sequence[QueryWord]) -> SearchPage:
        unknown = await self._unknown(slot, words)
        read = await self._corrected(slot, words, unknown)
        page, found = await self._page(slot, query, read, every=True)
        if found or not words:
            return page
        more = await self._corrected(slot, read, [word for word in correctable(words) if word not in unknown])
        if more != read:
            page, found = await self._page(slot, query, more, every=True)
        if not found and len(words) > 1:
            page, found = await self._page(slot, query, more, every=False)
        return page

    async def suggest(self, text: str, limit: int) -> list[str]:
        """Brands and categories that begin so, names that begin so, names with words that begin so."""
        words = query_words(text)
        if not words or limit < 1:
            return []
        slot = await self._live()
        typed = " ".join(words_of(text))
        shown: list[str] = []
        for statement in ("terms_from", "names_from"):
            if len(shown) < limit:
                shown += await self._shown(statement, slot, typed, typed + _LAST_SIGN, limit)
                shown = first_different(shown, limit)
        if len(shown) < limit:
            shown = first_different([*shown, *await self._names_with(slot, words, limit)], limit)
        if not shown:
            read = await self._corrected(slot, words, await self._unknown(slot, words))
            shown = first_different(await self._names_with(slot, read, limit), limit)
        return shown

    async def rebuild(self, products: AsyncIterator[Sequence[ProductRecord]]) -> int:
        """Make the index anew. Raises `StaleVersion` if another rebuild has begun since."""
        async with self._database.transaction() as connection:
            await patient(connection)
            await connection.fetch(self._sql["hold_state"])
            begun = (await connection.fetch(self._sql["begin_build"]))[0]
            slot, build = begun["building"], begun["builds"]
            await connection.execute(self._of("empty_slot", slot))
        try:
            async for page in products:
                await self._add_to_build(slot, build, page)
            return await self._finish(slot, build)
        except BaseException:
            # Also when cancelled: else every later write would go to a pair that nobody finishes.
            with contextlib.suppress(StoreError):
                await self._database.write(self._sql["drop_build"], build)
            raise

    async def _add_to_build(self, slot: str, build: int, products: Sequence[ProductRecord]) -> None:
        for start in range(0, len(products), WRITE_PRODUCTS_MAX):
            documents = [document_of(product) for product in products[start : start + WRITE_PRODUCTS_MAX]]
            async with self._database.transaction() as connection:
                await self._hold_build(connection, build)
                await SlotWriter(connection, self._sql, slot).put(documents)

    async def _finish(self, slot: str, build: int) -> int:
        async with self._database.transaction() as connection:
            await self._hold_build(connection, build)
            await connection.execute(self._of("analyze_slot", slot))
            other = "a" if slot == "b" else "b"
            await connection.execute(fill(self._sql["keep_removals"], slot=slot, other=other))
            await connection.execute(self._sql["end_build"])
            return int((await connection.fetch(self._of("count_slot", slot)))[0]["products"])

    async def _hold(self, connection: Any) -> list[str]:
        """The tables to write to, locked for this transaction."""
        await patient(connection)
        state = (await connection.fetch(self._sql["hold_state"]))[0]
        return [slot for slot in (state["live"], state["building"]) if slot is not None]

    async def _hold_build(self, connection: Any, build: int) -> None:
        await patient(connection)
        state = (await connection.fetch(self._sql["hold_state"]))[0]
        if state["builds"] != build or state["building"] is None:
            raise StaleVersion("another rebuild of the search index has begun")

    def _of(self, name: str, slot: str) -> str:
        return fill(self._sql[name], slot=slot)

    async def _live(self) -> str:
        records = await self._database.read(self._sql["state"])
        return str(records[0]["live"]) if records else "a"

    async def _unknown(self, slot: str, words: Sequence[QueryWord]) -> list[QueryWord]:
        """The words of letters that nothing in the vocabulary stands for."""
        asked = correctable(words)
        if not asked:
            return []
        ranges = [
            (word.word, term.text, term.text + _LAST_SIGN if term.prefix else term.text)
            for word in asked
            for term in word.terms
        ]
        columns = [list(column) for column in zip(*ranges, strict=True)]
        records = await self._database.read(self._of("known_words", slot), *columns)
        known = {record["word"] for record in records}
        return [word for word in asked if word.word not in known]

    async def _corrected(self, slot: str, words: Sequence[QueryWord], wrong: Sequence[QueryWord]) -> list[QueryWord]:
        found = {}
        for word in wrong[:CORRECTED_WORDS_MAX]:
            edits, length = edits_allowed(word.word), len(word.word)
            bounds = (grams(word.word), length - edits, length + edits, CANDIDATES_MAX)
            records = await self._database.read(self._of("similar_words", slot), *bounds)
            found[word.word] = likeliest(word.word, [record["term"] for record in records])
        return with_corrections(words, found)

    async def _page(
        self, slot: str, query: SearchQuery, words: Sequence[QueryWord], *, every: bool
    ) -> tuple[SearchPage, int]:
        """A page, and how many products have the words, whatever the filters."""
        statement = SearchStatement(self._sql, slot, query, words, every=every)
        rows: dict[str, list[asyncpg.Record]] = {
            kind: [] for kind in ("found", "total", "category", "brand", "price", "product")
        }
        for record in await self._database.read(statement.text, *statement.arguments):
            rows[record["kind"]].append(record)
        if rows["found"][0]["value"] not in (None, slot):
            raise _Switched
        facets = {kind: counted({row["value"]: row["n"] for row in rows[kind]}) for kind in ("category", "brand")}
        facets["price"] = price_ranges({int(row["value"]): row["n"] for row in rows["price"]})
        products, cursor = self._in_order(query, rows["product"])
        page = SearchPage(products=products, next_cursor=cursor, facets=facets, total=rows["total"][0]["n"])
        return page, rows["found"][0]["n"]

    def _in_order(
        self, query: SearchQuery, records: Sequence[asyncpg.Record]
    ) -> tuple[tuple[ProductRecord, ...], str | None]:
        sort = sort_of(query)
        hits = [
            (record["value"] if sort == "name" else int(record["value"]), _PRODUCT.decode(record["document"]))
            for record in records
        ]
        hits.sort(key=lambda hit: (hit[0], hit[1].id), reverse=descending(sort))
        page = hits[: query.limit]
        cursor = next_cursor(query, page[-1][0], page[-1][1].id) if len(hits) > query.limit else None
        return tuple(product for _, product in page), cursor

    async def _names_with(self, slot: str, words: Sequence[QueryWord], limit: int) -> list[str]:
        return await self._shown("names_with", slot, all_of(words), all_of(words, weight="A"), limit)

    async def _shown(self, statement: str, slot: str, *arguments: object) -> list[str]:
        records = await self._database.read(self._of(statement, slot), *arguments)
        return [record["shown"] for record in records]
