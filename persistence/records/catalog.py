"""Products, categories and prices."""

from typing import Literal

from persistence.records.journal import NewEvent
from persistence.records.row import Row


class VariantRecord(Row, frozen=True, kw_only=True):
    """One thing that can be bought."""

    sku: str
    options: dict[str, str]
    price_minor: int
    price_version: int


class ProductRecord(Row, frozen=True, kw_only=True):
    """A product document. Its price is the lowest of its variants'."""

    id: str
    name: str
    description: str
    brand: str
    currency: str
    categories: tuple[str, ...]
    attributes: dict[str, object]
    images: tuple[str, ...]
    variants: tuple[VariantRecord, ...]
    version: int
    created_at_ms: int
    updated_at_ms: int


class ProductWrite(Row, frozen=True, kw_only=True):
    """One product of a batch, to be written at `expected_version` (0 = create) with its events."""

    product: ProductRecord
    expected_version: int
    events: tuple[NewEvent, ...] = ()


class CategoryRecord(Row, frozen=True, kw_only=True):
    """A category; `product_count` is filled on reading."""

    id: str
    name: str
    version: int
    product_count: int = 0


class PriceRecord(Row, frozen=True, kw_only=True):
    """One version of a SKU's price, append-only. `replaced_at_ms` is None while it is the current one."""

    sku: str
    version: int
    product_id: str
    name: str
    price_minor: int
    currency: str
    valid_from_ms: int
    replaced_at_ms: int | None


class ProductQuery(Row, frozen=True, kw_only=True):
    """What a product list asks for. `cursor` is opaque and made by the adapter."""

    category: str | None = None
    min_price_minor: int | None = None
    max_price_minor: int | None = None
    skus_in_stock: frozenset[str] | None = None
    sort: Literal["name", "price", "-price", "newest"] = "name"
    limit: int = 20
    cursor: str | None = None
