"""The catalog in PostgreSQL: JSONB documents, categories and every price version."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from persistence.errors import AlreadyExists, StaleVersion
from persistence.postgres.columns import EVENT_COLUMNS, columns
from persistence.postgres.database import Database
from persistence.postgres.queries import fill, fill_all, load_queries
from persistence.product_lists import (
    cursor_position,
    descending,
    name_key,
    price_minor,
    product_cursor,
    replaces_price,
)
from persistence.records import CategoryRecord, NewEvent, PriceRecord, ProductQuery, ProductRecord

_SORTED_BY = {
    "name": ("name_key", "text"),
    "price": ("price_minor", "bigint"),
    "-price": ("price_minor", "bigint"),
    "newest": ("created_at_ms", "bigint"),
}
_PRODUCT = msgspec.json.Decoder(ProductRecord)
_Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"


class PostgresCatalog:
    """Schema `catalog`. A deleted product leaves a tombstone: its id is never given again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_queries("catalog")
        self._add_events = fill_all(load_queries("outbox"), schema="catalog")["add"]

    async def products(self, query: ProductQuery) -> tuple[list[ProductRecord], str | None, int]:
        """A page, the next cursor, and the total."""
        key, row_id = cursor_position(query) or (None, None)
        column, key_type = _SORTED_BY[query.sort]
        statement = fill(
            self._sql["products"],
            key=column,
            key_type=key_type,
            comparison="<" if descending(query) else ">",
            direction="DESC" if descending(query) else "ASC",
        )
        skus = None if query.skus_in_stock is None else sorted(query.skus_in_stock)
        filters = (query.category, query.min_price_minor, query.max_price_minor, skus)
        # One row more than asked tells whether another page follows.
        records = await self._database.read(statement, *filters, key, row_id, query.limit + 1)
        total = (await self._database.read(self._sql["count_products"], *filters))[0]["total"]
        page = [_PRODUCT.decode(record["document"]) for record in records[: query.limit]]
        return page, product_cursor(query, page[-1]) if len(records) > query.limit else None, total

    async def product(self, product_id: str) -> ProductRecord | None:
        """One product; None if it is not there (or deleted)."""
        records = await self._database.read(self._sql["product"], product_id)
        return _PRODUCT.decode(records[0]["document"]) if records else None

    async def save_product(self, product: ProductRecord, expected_version: int, events: Sequence[NewEvent]) -> None:
        """Write at `expected_version` (0 = create), with its events and new price versions."""
        skus = [variant.sku for variant in product.variants]
        if len(set(skus)) != len(skus):
            raise AlreadyExists(f"product {product.id} names a SKU twice")
        async with self._database.transaction() as connection:
            await self._write_document(connection, product, expected_version)
            await connection.execute(self._sql["free_skus"], product.id, skus, product.updated_at_ms)
            holders = await connection.fetch(self._sql["take_skus"], product.id, skus)
            if any(record["product_id"] != product.id for record in holders):
                raise AlreadyExists(f"a SKU of {product.id} belongs to another product")
            await self._write_prices(connection, product)
            await connection.execute(self._add_events, *columns(EVENT_COLUMNS, events))

    async def delete_product(self, product_id: str, expected_version: int, events: Sequence[NewEvent]) -> None:
        """Leave a tombstone; its SKUs can no longer be bought."""
        at_ms = max((event.at_ms for event in events), default=0)
        async with self._database.transaction() as connection:
            if not await connection.fetch(self._sql["bury_product"], product_id, expected_version):
                raise StaleVersion(f"product {product_id} is not at version {expected_version}")
            await connection.execute(self._sql["free_skus"], product_id, [], at_ms)
            await connection.execute(self._add_events, *columns(EVENT_COLUMNS, events))

    async def categories(self) -> list[CategoryRecord]:
        """All categories by name, with product counts."""
        return [CategoryRecord(**record) for record in await self._database.read(self._sql["categories"])]

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

    async def _write_document(self, connection: _Connection, product: ProductRecord, expected_version: int) -> None:
        row = (
            product.id,
            product.version,
            msgspec.json.encode(product).decode(),
            name_key(product.name),
            price_minor(product),
            product.created_at_ms,
            list(product.categories),
        )
        if expected_version == 0:
            await connection.execute(self._sql["create_product"], *row)
        elif not await connection.fetch(self._sql["change_product"], *row, expected_version):
            raise StaleVersion(f"product {product.id} is not at version {expected_version}")

    async def _write_prices(self, connection: _Connection, product: ProductRecord) -> None:
        skus = [variant.sku for variant in product.variants]
        records = await connection.fetch(self._sql["newest_prices"], skus)
        newest = {record["sku"]: PriceRecord(**record) for record in records}
        replaced = [
            variant for variant in product.variants if replaces_price(newest.get(variant.sku), product, variant)
        ]
        await connection.execute(self._sql["end_prices"], [variant.sku for variant in replaced], product.updated_at_ms)
        await connection.execute(
            self._sql["add_prices"],
            product.id,
            product.currency,
            product.updated_at_ms,
            *columns(("sku", "price_version", "price_minor"), replaced),
        )
