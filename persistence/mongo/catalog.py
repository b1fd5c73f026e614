"""The catalog in MongoDB: a document a product, categories and every price version."""

from collections.abc import Mapping, Sequence

from persistence.errors import WriteRefused
from persistence.mongo.categories import MongoCategories
from persistence.mongo.database import Document, MongoDatabase
from persistence.mongo.documents import prices_of, product_of
from persistence.mongo.product_batches import ProductBatches
from persistence.mongo.product_pages import filters_of, page_of
from persistence.product_lists import name_key, product_cursor
from persistence.records import (
    CatalogSku,
    CategoryRecord,
    NewEvent,
    PriceRecord,
    ProductQuery,
    ProductRecord,
    ProductWrite,
)

_ON_SALE: Document = {"deleted": False}


class MongoCatalog:
    """A deleted product leaves a tombstone: its id is never given again."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database
        self._products = database.products
        self._batches = ProductBatches(database)
        self._categories = MongoCategories(database)

    async def products(self, query: ProductQuery) -> tuple[list[ProductRecord], str | None, int]:
        """A page, the next cursor, and the total."""
        filters, sort = page_of(query)
        found = await self._database.find(
            self._products, filters, fields=["document"], sort=sort, limit=query.limit + 1
        )
        total = await self._database.read(lambda: self._products.count_documents(filters_of(query)))
        page = [product_of(document) for document in found[: query.limit]]
        return page, product_cursor(query, page[-1]) if len(found) > query.limit else None, total

    async def product(self, product_id: str) -> ProductRecord | None:
        """One product; None if it is not there (or deleted)."""
        return (await self.products_by_id([product_id])).get(product_id)

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
        filters = {"_id": {"$in": list(product_ids)}, **_ON_SALE}
        found = await self._database.find(self._products, filters, fields=["document"])
        return {document["_id"]: product_of(document) for document in found}

    async def products_behind(self, product_id: str, limit: int) -> list[ProductRecord]:
        """Whole products by id."""
        filters = {"_id": {"$gt": product_id}, **_ON_SALE}
        found = await self._database.find(self._products, filters, fields=["document"], sort=[("_id", 1)], limit=limit)
        return [product_of(document) for document in found]

    async def delete_product(self, product_id: str, expected_version: int, events: Sequence[NewEvent]) -> None:
        """Leave a tombstone; its SKUs can no longer be bought."""
        await self._batches.bury(product_id, expected_version, events)

    async def skus(self, *, text: str, behind: str, limit: int) -> list[CatalogSku]:
        """A page of the SKUs on sale, by code point."""
        wanted: Document = {"skus": {"$gt": behind}}
        if text:
            # Positions, and literals: no character of the text means anything.
            in_sku = {"$eq": [{"$indexOfCP": ["$skus", {"$literal": text}]}, 0]}
            in_name = {"$gte": [{"$indexOfCP": ["$name_key", {"$literal": name_key(text)}]}, 0]}
            wanted["$expr"] = {"$or": [in_sku, in_name]}
        rows = await self._database.aggregate(
            self._products,
            [
                {"$match": {"skus": {"$gt": behind}, **_ON_SALE}},
                {"$project": {"skus": 1, "name": 1, "name_key": 1}},
                {"$unwind": "$skus"},
                {"$match": wanted},
                {"$sort": {"skus": 1}},
                {"$limit": limit},
            ],
        )
        return [CatalogSku(sku=row["skus"], product_id=row["_id"], name=row["name"]) for row in rows]

    async def categories(self) -> list[CategoryRecord]:
        """All categories by name, with product counts."""
        return await self._categories.all()

    async def category(self, category_id: str) -> CategoryRecord | None:
        """One category with its product count."""
        return await self._categories.one(category_id)

    async def category_ids(self) -> frozenset[str]:
        """The ids of all categories."""
        return await self._categories.ids()

    async def save_category(self, category: CategoryRecord, expected_version: int) -> None:
        """Write at `expected_version` (0 = create)."""
        await self._categories.save(category, expected_version)

    async def delete_category(self, category_id: str, expected_version: int) -> None:
        """Remove a category; products keep existing without it."""
        await self._categories.delete(category_id, expected_version)

    async def prices(self, skus: Sequence[str]) -> Mapping[str, PriceRecord]:
        """The newest price version of each SKU that can be bought."""
        wanted = set(skus)
        filters = {"known_skus": {"$in": list(wanted)}, **_ON_SALE}
        newest: dict[str, PriceRecord] = {}
        for document in await self._database.find(self._products, filters, fields=["name", "current"]):
            for price in prices_of(document, "current"):
                # While products exchange SKUs two of them may have a price for one.
                held = newest.get(price.sku)
                if price.sku in wanted and (held is None or held.version < price.version):
                    newest[price.sku] = price.record(document["_id"], document["name"])
        return newest

    async def close(self) -> None:
        """Nothing: `Stores.close` closes the connections that the catalog and its outbox share."""
