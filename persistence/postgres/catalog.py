"""The catalog in PostgreSQL: JSONB documents, categories and every price version."""

from collections.abc import Mapping, Sequence

import msgspec

from persistence.errors import StaleVersion, WriteRefused
from persistence.postgres.columns import EVENT_COLUMNS, columns
from persistence.postgres.database import Database
from persistence.postgres.product_batches import ProductBatches
from persistence.postgres.product_pages import count_statement, page_statement
from persistence.postgres.queries import fill_all, load_queries
from persistence.product_lists import product_cursor
from persistence.records import (
    CatalogSku,
    CategoryRecord,
    NewEvent,
    PriceRecord,
    ProductQuery,
    ProductRecord,
    ProductWrite,
)

_PRODUCT = msgspec.json.Decoder(ProductRecord)


class PostgresCatalog:
    """Schema `catalog`. A deleted product leaves a tombstone: its id is never given again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_queries("catalog")
        self._batches = ProductBatches(database)
        self._add_events = fill_all(load_queries("outbox"), schema="catalog")["add"]

    async def products(self, query: ProductQuery) -> tuple[list[ProductRecord], str | None, int]:
        """A page, the next cursor, and the total."""
        statement, values = page_statement(query)
        records = await self._database.read(statement, *values)
        statement, values = count_statement(query)
        total: int = (await self._database.read(statement, *values))[0]["total"]
        page = [_PRODUCT.decode(record["document"]) for record in records[: query.limit]]
        return page, product_cursor(query, page[-1]) if len(records) > query.limit else None, total

    async def product(self, product_id: str) -> ProductRecord | None:
        """One product; None if it is not there (or deleted)."""
        records = await self._database.read(self._sql["product"], product_id)
        return _PRODUCT.decode(records[0]["document"]) if records else None

    async def save_product(self, product: ProductRecord, expected_version: int, events: Sequence[NewEvent]) -> None:
        """Write at `expected_version` (0 = create), with its events and new price versions."""
        write = ProductWrite(product=product, expected_version=expected_version, events=tuple(events))
        for refused in (await self.save_products([write])).values():
            raise refused

    async def save_products(self, writes: Sequence[ProductWrite]) -> Mapping[str, WriteRefused]:
        """Write many; product id → why it was refused."""
        return await self._batches.save(writes)

    async def products_by_id(self, product_ids: Sequence[str]) -> Mapping[str, ProductRecord]:
        """Those of these products that are there."""
        records = await self._database.read(self._sql["products_by_id"], list(product_ids))
        products = [_PRODUCT.decode(record["document"]) for record in records]
        return {product.id: product for product in products}

    async def products_behind(self, product_id: str, limit: int) -> list[ProductRecord]:
        """Whole products by id."""
        records = await self._database.read(self._sql["products_behind"], product_id, limit)
        return [_PRODUCT.decode(record["document"]) for record in records]

    async def delete_product(self, product_id: str, expected_version: int, events: Sequence[NewEvent]) -> None:
        """Leave a tombstone; its SKUs can no longer be bought."""
        at_ms = max((event.at_ms for event in events), default=0)
        async with self._database.transaction() as connection:
            if not await connection.fetch(self._sql["bury_product"], product_id, expected_version):
                raise StaleVersion(f"product {product_id} is not at version {expected_version}")
            await connection.execute(self._sql["free_skus"], [product_id], [at_ms], [], [])
            await connection.execute(self._add_events, *columns(EVENT_COLUMNS, events))

    async def skus(self, *, text: str, behind: str, limit: int) -> list[CatalogSku]:
        """A page of the SKUs on sale, by code point."""
        records = await self._database.read(self._sql["skus_on_sale"], behind, text, limit)
        return [CatalogSku(**record) for record in records]

    async def categories(self) -> list[CategoryRecord]:
        """All categories by name, with product counts."""
        return [CategoryRecord(**record) for record in await self._database.read(self._sql["categories"])]

    async def category(self, category_id: str) -> CategoryRecord | None:
        """One category with its product count."""
        records = await self._database.read(self._sql["category"], category_id)
        return CategoryRecord(**records[0]) if records else None

    async def category_ids(self) -> frozenset[str]:
        """The ids of all categories."""
        return frozenset(record["id"] for record in await self._database.read(self._sql["category_ids"]))

    async def save_category(self, category: CategoryRecord, expected_version: int) -> None:
        """Write at `expected_version` (0 = create)."""
        row = (category.id, category.name, category.version)
        if expected_version == 0:
            await self._database.write(self._sql["create_category"], *row)
        elif not await self._database.write(self._sql["change_category"], *row, expected_version):
            raise StaleVersion(f"category {category.id} is not at version {expected_version}")

    async def delete_category(self, category_id: str, expected_version: int) -> None:
        """Remove a category; products keep existing without it."""
        if not await self._database.write(self._sql["delete_category"], category_id, expected_version):
            raise StaleVersion(f"category {category_id} is not at version {expected_version}")

    async def prices(self, skus: Sequence[str]) -> Mapping[str, PriceRecord]:
        """The newest price version of each SKU that can be bought."""
        records = await self._database.read(self._sql["prices"], list(skus))
        return {record["sku"]: PriceRecord(**record) for record in records}

    async def close(self) -> None:
        """Nothing: `Stores.close` closes the connections that all adapters share."""
