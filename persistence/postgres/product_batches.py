"""Writes products to PostgreSQL: any number in one transaction, each of them whole or not at all."""

from collections.abc import Sequence
from typing import TypeAlias

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from persistence.errors import AlreadyExists, StaleVersion, WriteRefused
from persistence.postgres.columns import EVENT_COLUMNS, columns
from persistence.postgres.database import Database
from persistence.postgres.queries import fill_all, load_queries
from persistence.product_batches import accepted, refused_claims
from persistence.product_lists import name_key, price_minor, replaces_price
from persistence.records import PriceRecord, ProductRecord, ProductWrite, VariantRecord

_Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"
_Refused: TypeAlias = dict[str, WriteRefused]


class _RolledBack(Exception):
    """Some of the batch was refused: the transaction is undone, and the rest is written without them."""

    def __init__(self, refused: _Refused) -> None:
        super().__init__()
        self.refused = refused


class ProductBatches:
    """Guarantees: what is not among the refused is written, in one transaction with its prices and events.

    Rows are locked in the order of ids, so two batches never wait for each other.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_queries("catalog")
        self._add_events = fill_all(load_queries("outbox"), schema="catalog")["add"]

    async def save(self, writes: Sequence[ProductWrite]) -> _Refused:
        """Write them; product id → why it was refused. Raises as `Database.transaction`."""
        refused = refused_claims(writes)
        left = accepted(writes, refused)
        while left:
            try:
                await self._save_all(left)
            except _RolledBack as rolled_back:
                refused |= rolled_back.refused
                left = accepted(left, rolled_back.refused)
            except WriteRefused as error:
                # The database does not say which of them it was.
                return refused | await self._save_each(left, error)
            else:
                break
        return refused

    async def _save_each(self, writes: Sequence[ProductWrite], error: WriteRefused) -> _Refused:
        if len(writes) == 1:
            return {writes[0].product.id: error}
        refused: _Refused = {}
        for write in writes:
            refused |= await self.save([write])
        return refused

    async def _save_all(self, writes: Sequence[ProductWrite]) -> None:
        products = [write.product for write in writes]
        variants = [(product, variant) for product in products for variant in product.variants]
        async with self._database.transaction() as connection:
            _undo_if(await self._write_documents(connection, writes))
            _undo_if(await self._take_skus(connection, products, variants))
            _undo_if(await self._write_prices(connection, variants))
            events = [event for write in writes for event in write.events]
            await connection.execute(self._add_events, *columns(EVENT_COLUMNS, events))

    async def _write_documents(self, connection: _Connection, writes: Sequence[ProductWrite]) -> _Refused:
        ids = [write.product.id for write in writes]
        locked = {row["id"]: row for row in await connection.fetch(self._sql["lock_products"], ids)}
        refused: _Refused = {}
        created, changed = [], []
        for write in writes:
            product, held = write.product, locked.get(write.product.id)
            if write.expected_version == 0:
                created.append(product)
                if held is not None:
                    refused[product.id] = AlreadyExists(f"product {product.id} exists")
            else:
                changed.append(product)
                if held is None or held["deleted"] or held["version"] != write.expected_version:
                    refused[product.id] = StaleVersion(
                        f"product {product.id} is not at version {write.expected_version}"
                    )
        if refused:
            return refused
        await connection.execute(self._sql["change_products"], *_rows(changed))
        made = {row["id"] for row in await connection.fetch(self._sql["create_products"], *_rows(created))}
        # Another transaction made it between the lock and the insert.
        return {row.id: AlreadyExists(f"product {row.id} exists") for row in created if row.id not in made}

    async def _take_skus(
        self,
        connection: _Connection,
        products: Sequence[ProductRecord],
        variants: Sequence[tuple[ProductRecord, VariantRecord]],
    ) -> _Refused:
        owned = [variant.sku for _, variant in variants], [product.id for product, _ in variants]
        ids = [product.id for product in products]
        await connection.execute(self._sql["free_skus"], ids, [product.updated_at_ms for product in products], *owned)
        holders = {row["sku"]: row["product_id"] for row in await connection.fetch(self._sql["take_skus"], *owned)}
        return {
            product.id: AlreadyExists(f"a SKU of {product.id} belongs to another product")
            for product, variant in variants
            if holders[variant.sku] != product.id
        }

    async def _write_prices(
        self, connection: _Connection, variants: Sequence[tuple[ProductRecord, VariantRecord]]
    ) -> _Refused:
        records = await connection.fetch(self._sql["newest_prices"], [variant.sku for _, variant in variants])
        newest = {record["sku"]: PriceRecord(**record) for record in records}
        refused: _Refused = {}
        replaced = []
        for product, variant in variants:
            try:
                if replaces_price(newest.get(variant.sku), product, variant):
                    replaced.append((product, variant))
            except StaleVersion as error:
                refused[product.id] = error
        if refused or not replaced:
            return refused
        skus = [variant.sku for _, variant in replaced]
        at_ms = [product.updated_at_ms for product, _ in replaced]
        await connection.execute(self._sql["end_prices"], skus, at_ms)
        await connection.execute(
            self._sql["add_prices"],
            skus,
            [variant.price_version for _, variant in replaced],
            [product.id for product, _ in replaced],
            [variant.price_minor for _, variant in replaced],
            [product.currency for product, _ in replaced],
            at_ms,
        )
        return {}


def _undo_if(refused: _Refused) -> None:
    if refused:
        raise _RolledBack(refused)


def _rows(products: Sequence[ProductRecord]) -> list[list[str] | list[int]]:
    return [
        [product.id for product in products],
        [product.version for product in products],
        [msgspec.json.encode(product).decode() for product in products],
        [name_key(product.name) for product in products],
        [price_minor(product) for product in products],
        [product.created_at_ms for product in products],
    ]
