"""The search index in memory: every product is looked at. The rules are those of `persistence/search_….py`."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from persistence.cursors import CursorKey
from persistence.errors import StaleVersion
from persistence.memory.seams import Seams
from persistence.memory.tables import SearchIndex, SearchTables
from persistence.records import ProductRecord, SearchPage, SearchQuery
from persistence.search_documents import SearchDocument, TermKind
from persistence.search_pages import (
    counted,
    descending,
    first_different,
    next_cursor,
    position,
    price_range_of,
    price_ranges,
    sort_key,
    sort_of,
)
from persistence.search_spelling import (
    CANDIDATES_MAX,
    CORRECTED_WORDS_MAX,
    correctable,
    edits_allowed,
    grams,
    in_vocabulary,
    likeliest,
    similarity,
    with_corrections,
)
from persistence.search_words import QueryWord, is_blank, query_words, words_of


@dataclass(slots=True)
class MemoryProductSearch:
    """A rebuild fills a second index, which every write reaches too, and then names it live."""

    tables: SearchTables
    seams: Seams = field(default_factory=Seams)

    async def index(self, products: Sequence[ProductRecord]) -> None:
        """Add or replace each, unless the index has a greater version of it (a removed one counts)."""
        await self.seams.call("search.index", lambda: self._index(products))

    async def remove(self, products: Mapping[str, int]) -> None:
        """Remove products that were deleted at these versions, unless the index has a greater one."""
        await self.seams.call("search.remove", lambda: self._remove(products))

    async def is_built(self) -> bool:
        """Whether a rebuild was ever finished."""
        return await self.seams.call("search.is_built", lambda: self.tables.built)

    async def search(self, query: SearchQuery) -> SearchPage:
        """A page of what is found, with facets."""
        behind = position(query)
        return await self.seams.call("search.search", lambda: self._search(query, behind))

    async def suggest(self, text: str, limit: int) -> list[str]:
        """Brands and categories that begin so, names that begin so, names with words that begin so."""
        return await self.seams.call("search.suggest", lambda: self._suggest(text, limit))

    async def rebuild(self, products: AsyncIterator[Sequence[ProductRecord]]) -> int:
        """Make the index anew. Raises `StaleVersion` if another rebuild has begun since."""
        build = await self.seams.call("search.begin_build", self._begin)
        try:
            async for page in products:
                await self.seams.call("search.add_to_build", lambda added=page: self._building(build).put(added))  # type: ignore[misc]
            return await self.seams.call("search.end_build", lambda: self._finish(build))
        finally:
            if self.tables.building is build:
                self.tables.building = None

    def _index(self, products: Sequence[ProductRecord]) -> None:
        for index in self._written():
            index.put(products)

    def _remove(self, products: Mapping[str, int]) -> None:
        for index in self._written():
            index.remove(products)

    def _written(self) -> Iterator[SearchIndex]:
        yield self.tables.live
        if self.tables.building is not None:
            yield self.tables.building

    def _begin(self) -> SearchIndex:
        self.tables.building = SearchIndex()
        return self.tables.building

    def _building(self, build: SearchIndex) -> SearchIndex:
        if self.tables.building is not build:
            raise StaleVersion("another rebuild of the search index has begun")
        return build

    def _finish(self, build: SearchIndex) -> int:
        self._building(build).keep_removals(self.tables.live)
        self.tables.live, self.tables.building, self.tables.built = build, None, True
        return len(build.documents)

    def _search(self, query: SearchQuery, behind: tuple[CursorKey, str] | None) -> SearchPage:
        words = query_words(query.text)
        if not words:
            everything = list(self.tables.live.documents.values()) if is_blank(query.text) else []
            return _page(query, behind, everything, words)
        read, unknown = self._corrected_unknown(words)
        found = self._found(read, all)
        if not found:
            known = [word for word in correctable(words) if word not in unknown]
            read = self._corrected(read, known)
            found = self._found(read, all) or self._found(read, any)
        return _page(query, behind, found, read)

    def _suggest(self, text: str, limit: int) -> list[str]:
        words = query_words(text)
        if not words or limit < 1:
            return []
        typed = " ".join(words_of(text))
        shown = first_different(
            [*self._terms_from(typed), *self._names(lambda doc: doc.name_text.startswith(typed))], limit
        )
        if len(shown) < limit:
            shown = first_different([*shown, *self._names_with(words)], limit)
        if not shown:
            shown = first_different(self._names_with(self._corrected_unknown(words)[0]), limit)
        return shown

    def _terms_from(self, typed: str) -> list[str]:
        counts: Counter[tuple[TermKind, str]] = Counter()
        shown: dict[tuple[TermKind, str], str] = {}
        for document in self.tables.live.documents.values():
            for kind, term, text in document.terms():
                if kind != "word" and term.startswith(typed):
                    counts[kind, term] += 1
                    shown[kind, term] = text
        return [shown[at] for at in sorted(counts, key=lambda at: (-counts[at], at[1], at[0]))]

    def _names_with(self, words: Sequence[QueryWord]) -> list[str]:
        return self._names(lambda document: all(document.has_in_name(word) for word in words))

    def _names(self, wanted: Callable[[SearchDocument], bool]) -> list[str]:
        found = [document for document in self.tables.live.documents.values() if wanted(document)]
        return [doc.product.name for doc in sorted(found, key=lambda doc: (doc.name_text, doc.id))]

    def _found(self, words: Sequence[QueryWord], wanted: Callable[[Iterator[bool]], bool]) -> list[SearchDocument]:
        return [
            document for document in self.tables.live.documents.values() if wanted(document.has(word) for word in words)
        ]

    def _corrected_unknown(self, words: Sequence[QueryWord]) -> tuple[list[QueryWord], list[QueryWord]]:
        vocabulary = self._vocabulary()
        unknown = [
            word
            for word in correctable(words)
            if not any(term.finds(known) for term in word.terms for known in vocabulary)
        ]
        return self._corrected(words, unknown), unknown

    def _corrected(self, words: Sequence[QueryWord], wrong: Sequence[QueryWord]) -> list[QueryWord]:
        return with_corrections(
            words,
            {word.word: likeliest(word.word, self._candidates(word.word)) for word in wrong[:CORRECTED_WORDS_MAX]},
        )

    def _candidates(self, word: str) -> list[str]:
        asked, edits = grams(word), edits_allowed(word)
        alike = {
            known: similarity(asked, grams(known))
            for known in self._vocabulary()
            if abs(len(known) - len(word)) <= edits
        }
        found = sorted((known for known in alike if alike[known] > 0), key=lambda known: (-alike[known], known))
        return found[:CANDIDATES_MAX]

    def _vocabulary(self) -> set[str]:
        return {
            word for document in self.tables.live.documents.values() for word in document.words if in_vocabulary(word)
        }


def _page(
    query: SearchQuery,
    behind: tuple[CursorKey, str] | None,
    found: Sequence[SearchDocument],
    words: Sequence[QueryWord],
) -> SearchPage:
    sort = sort_of(query)
    meets = {document.id: _filters_met(query, document) for document in found}
    keyed = [
        (sort_key(sort, document, document.rank(words)), document.id, document)
        for document in found
        if all(meets[document.id].values())
    ]
    keyed.sort(key=lambda hit: hit[:2], reverse=descending(sort))
    rest = keyed
    if behind is not None:
        # Both keys are of the kind that the sort names, so they compare.
        rest = [hit for hit in keyed if (hit[:2] < behind if descending(sort) else hit[:2] > behind)]
    page = rest[: query.limit]
    cursor = next_cursor(query, page[-1][0], page[-1][1]) if len(rest) > query.limit else None

    def others_met(facet: str) -> Iterator[SearchDocument]:
        return (doc for doc in found if all(met for name, met in meets[doc.id].items() if name != facet))

    facets = {
        "category": counted(Counter(value for doc in others_met("category") for value in doc.categories)),
        "brand": counted(Counter(doc.brand for doc in others_met("brand") if doc.brand)),
        "price": price_ranges(Counter(price_range_of(doc.price_minor) for doc in others_met("price"))),
    }
    products = tuple(document.product for _, _, document in page)
    return SearchPage(products=products, next_cursor=cursor, facets=facets, total=len(keyed))


def _filters_met(query: SearchQuery, document: SearchDocument) -> dict[str, bool]:
    price, skus = document.price_minor, query.skus_in_stock
    return {
        "category": query.category is None or query.category in document.categories,
        "brand": query.brand is None or query.brand == document.brand,
        "price": (query.min_price_minor is None or price >= query.min_price_minor)
        and (query.max_price_minor is None or price <= query.max_price_minor),
        "stock": skus is None or not skus.isdisjoint(document.skus),
    }
