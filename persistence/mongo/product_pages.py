"""The filters of product lists. Every value stands behind an operator of ours, so none is read as one."""

from typing import Any

from persistence.mongo.database import Document
from persistence.product_lists import cursor_position, descending
from persistence.records import ProductQuery

_SORTED_BY = {"name": "name_key", "price": "price_minor", "-price": "price_minor", "newest": "created_at_ms"}


def filters_of(query: ProductQuery) -> Document:
    """What all pages of a list have in common."""
    filters: Document = {"deleted": False}
    if query.category is not None:
        filters["categories"] = {"$eq": query.category}
    if query.skus_in_stock is not None:
        filters["skus"] = {"$in": list(query.skus_in_stock)}
    bounds = []
    if query.min_price_minor is not None:
        bounds.append({"price_minor": {"$gte": query.min_price_minor}})
    if query.max_price_minor is not None:
        bounds.append({"price_minor": {"$lte": query.max_price_minor}})
    if bounds:
        # Apart, which is the same to MongoDB: the server of our tests misreads an upper bound beside an equality.
        filters["$and"] = bounds
    return filters


def page_of(query: ProductQuery) -> tuple[Document, list[tuple[str, int]]]:
    """Filters and order of one page. Raises `ValueError` for a foreign cursor."""
    key, down = _SORTED_BY[query.sort], descending(query)
    filters: dict[str, Any] = filters_of(query)
    position = cursor_position(query)
    if position is not None:
        value, product_id = position
        beyond = "$lt" if down else "$gt"
        behind = [{key: {beyond: value}}, {key: {"$eq": value}, "_id": {beyond: product_id}}]
        filters = {"$and": [filters, {"$or": behind}]}
    direction = -1 if down else 1
    return filters, [(key, direction), ("_id", direction)]
