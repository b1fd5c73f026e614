"""The statements of product lists: only the filters that a query has, each with its parameter."""

from typing import Any

from persistence.postgres.queries import fill, load_queries
from persistence.product_lists import cursor_position, descending
from persistence.records import ProductQuery

_SORTED_BY = {
    "name": ("name_key", "text"),
    "price": ("price_minor", "bigint"),
    "-price": ("price_minor", "bigint"),
    "newest": ("created_at_ms", "bigint"),
}
Statement = tuple[str, list[Any]]
"""SQL and its parameters."""


class _Filters:
    """The filters of a statement as they are added."""

    def __init__(self) -> None:
        self._sql = load_queries("catalog")
        self._parts: list[str] = []
        self.values: list[Any] = []

    def add(self, name: str, *values: Any, **parts: str) -> None:
        """A named part of `catalog.sql`; {value} and {row_id} are its parameters."""
        places = {}
        for place, value in zip(("value", "row_id"), values, strict=False):
            places[place] = self.parameter(value)
        self._parts.append(fill(self._sql[name], **places, **parts))

    def parameter(self, value: Any) -> str:
        """The place of one more value."""
        self.values.append(value)
        return f"${len(self.values)}"

    @property
    def text(self) -> str:
        """All of them, in order."""
        return "".join(f"\n {part}" for part in self._parts)


def page_statement(query: ProductQuery) -> Statement:
    """A page, and one row more: whether another one follows. Raises `ValueError` for a foreign cursor."""
    position = cursor_position(query)
    filters = _filters_of(query)
    key, key_type = _SORTED_BY[query.sort]
    down = descending(query)
    if position is not None:
        filters.add("behind", *position, key=key, key_type=key_type, comparison="<" if down else ">")
    limit = filters.parameter(query.limit + 1)
    statement = fill(
        load_queries("catalog")["products"],
        filters=filters.text,
        key=key,
        direction="DESC" if down else "ASC",
        limit=limit,
    )
    return statement, filters.values


def count_statement(query: ProductQuery) -> Statement:
    """How many products all its pages have."""
    filters = _filters_of(query)
    return fill(load_queries("catalog")["count_products"], filters=filters.text), filters.values


def _filters_of(query: ProductQuery) -> _Filters:
    filters = _Filters()
    if query.skus_in_stock is not None:
        filters.add("only_these_skus", list(query.skus_in_stock))
    filters.add("on_sale")
    if query.category is not None:
        filters.add("in_category", query.category)
    if query.min_price_minor is not None:
        filters.add("at_least", query.min_price_minor)
    if query.max_price_minor is not None:
        filters.add("at_most", query.max_price_minor)
    return filters
