"""What a search asks for, and what it finds."""

from typing import Literal

from persistence.records.catalog import ProductRecord
from persistence.records.row import Row


class SearchQuery(Row, frozen=True, kw_only=True):
    """What a search asks for. `text` is what the shopper typed, read as plain words; "" finds everything."""

    text: str
    category: str | None = None
    brand: str | None = None
    min_price_minor: int | None = None
    max_price_minor: int | None = None
    skus_in_stock: frozenset[str] | None = None
    sort: Literal["relevance", "name", "price", "-price", "newest"] = "relevance"
    limit: int = 20
    cursor: str | None = None


class FacetCount(Row, frozen=True, kw_only=True):
    """How many of the found products have this value of a facet. Price ranges: from (inclusive) to (exclusive)."""

    value: str
    count: int
    from_minor: int | None = None
    to_minor: int | None = None


class SearchPage(Row, frozen=True, kw_only=True):
    """A page of found products (as they were indexed), the next cursor, facets by name, and how many there are."""

    products: tuple[ProductRecord, ...]
    next_cursor: str | None
    facets: dict[str, tuple[FacetCount, ...]]
    total: int
