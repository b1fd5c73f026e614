"""Carts, and the catalog with its search index."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from persistence.errors import WriteRefused
from persistence.records import (
    CartRecord,
    CartWrite,
    CatalogSku,
    CategoryRecord,
    IdempotencyRow,
    NewEvent,
    PriceRecord,
    ProductQuery,
    ProductRecord,
    ProductWrite,
    SearchPage,
    SearchQuery,
)


class Carts(Protocol):
    """The carts: a key-value store with compare-and-set, its outbox and its record of answers."""

    async def load(self, ids: Sequence[str]) -> Mapping[str, CartRecord]:
        """The carts that exist and have not expired."""

    async def save(self, writes: Sequence[CartWrite]) -> frozenset[str]:
        """Compare-and-set each; returns the ids written. One that is missing was not written at all."""

    async def delete(self, cart_id: str, expected_version: int, events: Sequence[NewEvent] = ()) -> bool:
        """Remove an expired cart at exactly this version; its last event goes to the outbox."""

    async def expired(self, before_ms: int, limit: int) -> list[CartRecord]:
        """Carts whose expiry is before `before_ms`, oldest first."""

    async def answer(self, principal: str, route: str, key: str) -> IdempotencyRow | None:
        """The remembered answer of a keyed request."""

    async def close(self) -> None:
        """Let go of connections."""


class Catalog(Protocol):
    """The catalog's write model: documents with versions, and every price version."""

    async def products(self, query: ProductQuery) -> tuple[list[ProductRecord], str | None, int]:
        """A page, the next cursor, and the total. Raises `ValueError` for a foreign cursor."""

    async def product(self, product_id: str) -> ProductRecord | None:
        """One product; None if it is not there (or deleted)."""

    async def save_product(self, product: ProductRecord, expected_version: int, events: Sequence[NewEvent]) -> None:
        """Write at `expected_version` (0 = create), with its pending events and new price versions.

        Raises `StaleVersion` (also for a price version that is taken), `AlreadyExists` (id taken, or a SKU belongs to
        another product).
        """

    async def save_products(self, writes: Sequence[ProductWrite]) -> Mapping[str, WriteRefused]:
        """Write many, each as `save_product` would: product id → why it was refused; the others are written.

        Together, where the store has transactions; else each product whole, and after a fault perhaps not all. A SKU that one of them lets go may be another's. At most one write a product (`ValueError`). Raises
        `StoreUnavailable` if nothing was written, `OutcomeUnknown`.
        """

    async def products_by_id(self, product_ids: Sequence[str]) -> Mapping[str, ProductRecord]:
        """Those of these products that are there."""

    async def products_behind(self, product_id: str, limit: int) -> list[ProductRecord]:
        """Whole products by id (code points), behind this id ("" from the first). Empty at the end.

        Read page by page, every product that is there all the while comes once, whatever is changed meanwhile.
        """

    async def delete_product(self, product_id: str, expected_version: int, events: Sequence[NewEvent]) -> None:
        """Leave a tombstone. Its SKUs' prices are replaced by nothing: they can no longer be bought."""

    async def categories(self) -> list[CategoryRecord]:
        """All categories by name, with product counts."""

    async def category(self, category_id: str) -> CategoryRecord | None:
        """One category with its product count."""

    async def category_ids(self) -> frozenset[str]:
        """The ids of all categories: cheap, for who only checks them."""

    async def save_category(self, category: CategoryRecord, expected_version: int) -> None:
        """Write at `expected_version` (0 = create). Raises `StaleVersion`, `AlreadyExists`."""

    async def delete_category(self, category_id: str, expected_version: int) -> None:
        """Remove a category; products keep existing without it."""

    async def prices(self, skus: Sequence[str]) -> Mapping[str, PriceRecord]:
        """The newest price version of each SKU that can be bought."""

    async def skus(self, *, text: str, behind: str, limit: int) -> list[CatalogSku]:
        """The SKUs on sale behind `behind` ("" from the first), by code point; at most `limit`.

        With a `text` those that begin with it, or whose product's name contains it in any case.
        """

    async def close(self) -> None:
        """Let go of connections."""


class ProductSearch(Protocol):
    """The search index of products: a read model, fed by the indexer. The greater version wins."""

    async def index(self, products: Sequence[ProductRecord]) -> None:
        """Add or replace each, unless the index has a greater version of it (a removed one counts)."""

    async def remove(self, products: Mapping[str, int]) -> None:
        """Remove products that were deleted at these versions, unless the index has a greater one."""

    async def search(self, query: SearchQuery) -> SearchPage:
        """Tolerates typing errors. Raises `ValueError` for a foreign cursor."""

    async def suggest(self, text: str, limit: int) -> list[str]:
        """Completions of what was typed so far, best first."""

    async def rebuild(self, products: AsyncIterator[Sequence[ProductRecord]]) -> int:
        """Make the index anew from these; searches see the old one until the new one is whole. How many there are.

        What is indexed and removed meanwhile is in the new one too. Raises `StaleVersion` if another rebuild has begun.
        """

    async def is_built(self) -> bool:
        """Whether a rebuild was ever finished: if not, products from before the index may be missing."""
