"""How search results are sorted, paged and counted, for every search adapter."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

from persistence.cursors import CursorKey, decode_cursor, encode_cursor
from persistence.records import FacetCount, SearchQuery
from persistence.search_documents import SearchDocument
from persistence.search_words import is_blank, words_of

SearchSort = Literal["relevance", "name", "price", "-price", "newest"]

FACET_VALUES_MAX: Final = 50
PRICE_EDGES_MINOR: Final = (0, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000)
"""Where the price ranges begin, in minor units of the shop's currency; each ends where the next begins."""


def sort_of(query: SearchQuery) -> SearchSort:
    """What a search is sorted by: everything has no relevance, and goes by name."""
    return "name" if query.sort == "relevance" and is_blank(query.text) else query.sort


def descending(sort: SearchSort) -> bool:
    """Whether ids, too, run from high to low, as in product lists. Relevance sorts by the negative rank, upwards."""
    return sort in ("-price", "newest")


def sort_key(sort: SearchSort, document: SearchDocument, rank: int) -> CursorKey:
    """What a page is sorted by; ties go by id."""
    match sort:
        case "relevance":
            return -rank
        case "name":
            return document.name_key
        case "price" | "-price":
            return document.price_minor
        case "newest":
            return document.created_at_ms


def next_cursor(query: SearchQuery, key: CursorKey, product_id: str) -> str:
    """The cursor behind a page that ends with this product."""
    return encode_cursor(_list_of(query), key, product_id)


def position(query: SearchQuery) -> tuple[CursorKey, str] | None:
    """Where a page begins; None at the start. Raises `ValueError` for a foreign cursor."""
    if query.cursor is None:
        return None
    key, product_id = decode_cursor(_list_of(query), query.cursor)
    if isinstance(key, str) != (sort_of(query) == "name") or "\0" in f"{key}{product_id}":
        raise ValueError("not a cursor of this list")
    if isinstance(key, int) and abs(key) >= 2**63:
        raise ValueError("not a cursor of this list")
    return key, product_id


def counted(values: Mapping[str, int]) -> tuple[FacetCount, ...]:
    """The values of a facet, most frequent first, then by code point; at most `FACET_VALUES_MAX`."""
    ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    return tuple(FacetCount(value=value, count=count) for value, count in ordered[:FACET_VALUES_MAX])


def price_range_of(price_minor: int) -> int:
    """The number of the range that a price is in, from 1."""
    return bisect_right(PRICE_EDGES_MINOR, price_minor)


def price_ranges(counts: Mapping[int, int]) -> tuple[FacetCount, ...]:
    """The ranges that have a product, cheapest first."""
    return tuple(_price_range(number, counts[number]) for number in sorted(counts))


def first_different(texts: Iterable[str], limit: int) -> list[str]:
    """The first texts that differ by more than case."""
    found: dict[str, str] = {}
    for text in texts:
        found.setdefault(text.casefold(), text)
    return list(found.values())[:limit]


def _price_range(number: int, count: int) -> FacetCount:
    from_minor = PRICE_EDGES_MINOR[number - 1]
    to_minor = PRICE_EDGES_MINOR[number] if number < len(PRICE_EDGES_MINOR) else None
    value = f"{from_minor}-" if to_minor is None else f"{from_minor}-{to_minor}"
    return FacetCount(value=value, count=count, from_minor=from_minor, to_minor=to_minor)


def _list_of(query: SearchQuery) -> str:
    sort = sort_of(query)
    if sort != "relevance":
        return f"search:{sort}"
    # Ranks of two queries do not compare.
    words: Sequence[str] = words_of(query.text)
    return f"search:relevance:{hashlib.sha256(' '.join(words).encode()).hexdigest()[:12]}"
