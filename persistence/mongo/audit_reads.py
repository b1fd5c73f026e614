"""What the audit reads from MongoDB: every price version."""

from collections.abc import AsyncIterator, Sequence

from persistence.mongo.database import Document, MongoDatabase
from persistence.mongo.documents import prices_of
from persistence.records import PriceRecord

PAGE_ROWS = 1_000


class MongoPriceReads:
    """Owns its connections.

    First the products, tombstones too, then what was put away: a price that moves meanwhile comes twice, but is not
    missed.
    """

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    async def prices(self) -> AsyncIterator[Sequence[PriceRecord]]:
        """Every price version, without its product's name. Pages are never empty."""
        last_id = ""
        while documents := await self._page({"_id": {"$gt": last_id}}):
            last_id = documents[-1]["_id"]
            found = [
                price.record(document["_id"])
                for document in documents
                for price in (*prices_of(document, "past"), *prices_of(document, "current"))
            ]
            for start in range(0, len(found), PAGE_ROWS):
                yield found[start : start + PAGE_ROWS]
        sku, version = "", 0
        while entries := await self._put_away(sku, version):
            sku, version = entries[-1]["sku"], entries[-1]["version"]
            yield [
                PriceRecord(name="", **{name: value for name, value in entry.items() if name != "_id"})
                for entry in entries
            ]

    async def _page(self, filters: Document) -> list[Document]:
        return await self._database.find(
            self._database.products, filters, fields=["past", "current"], sort=[("_id", 1)], limit=PAGE_ROWS
        )

    async def _put_away(self, sku: str, version: int) -> list[Document]:
        behind = [{"sku": {"$gt": sku}}, {"sku": {"$eq": sku}, "version": {"$gt": version}}]
        return await self._database.find(
            self._database.prices, {"$or": behind}, sort=[("sku", 1), ("version", 1)], limit=PAGE_ROWS
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._database.close()
