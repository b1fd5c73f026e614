"""The catalog's outbox in MongoDB: events wait in their products' documents, with which they were written.

    take:  epoch + 1                                            one document, `consumers`
    done:  1. at our epoch, remember the ids as done            the same document: either this or a take comes first
           2. remove the events from their products             nobody sees them any more, so whoever does it, and when
           3. forget the ids
Whoever reads first does 2 and 3 for one who died in between.
"""

from collections.abc import Sequence

from pymongo import ReturnDocument

from persistence.mongo.database import Document, MongoDatabase
from persistence.mongo.documents import event_of
from persistence.mongo.schema import OUTBOX_CONSUMER, not_prepared
from persistence.records import OutboxRow

TOPIC = "catalog-events"
_EVENT_ID = "pending_events.id"


class MongoOutbox:
    """Events stay until the consumer whose epoch is the newest is done with them."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    async def take(self) -> int:
        """Become its consumer."""
        consumer = await self._database.write(
            lambda: self._database.consumers.find_one_and_update(
                {"_id": OUTBOX_CONSUMER}, {"$inc": {"epoch": 1}}, return_document=ReturnDocument.AFTER
            )
        )
        if consumer is None:
            raise not_prepared(self._database)
        epoch: int = consumer["epoch"]
        return epoch

    async def read(self, limit: int) -> list[OutboxRow]:
        """The oldest events, in order per product."""
        consumer = await self._database.find(self._database.consumers, {"_id": OUTBOX_CONSUMER}, limit=1)
        done: list[int] = consumer[0].get("done", []) if consumer else []
        if done:
            await self._remove(done)

        async def oldest() -> list[tuple[int, Document]]:
            return await self._oldest(frozenset(done), limit)

        return [
            OutboxRow(id=entry["id"], topic=TOPIC, event=event_of(entry))
            for _, entry in await self._database.read(oldest)
        ]

    async def _oldest(self, done: frozenset[int], limit: int) -> list[tuple[int, Document]]:
        """By id, but never before an earlier event of the same product. Each with the id that says its place."""
        waiting: list[tuple[int, Document]] = []
        if limit <= 0:
            return waiting
        # By the smallest id of each product.
        cursor = self._database.products.find(
            {_EVENT_ID: {"$gt": 0}}, projection=["pending_events"], sort=[(_EVENT_ID, 1)]
        )
        async for document in cursor:
            entries = document["pending_events"]
            if len(waiting) >= limit and waiting[limit - 1][0] < min(entry["id"] for entry in entries):
                break
            place = 0
            for entry in entries:
                place = max(place, entry["id"])
                if entry["id"] not in done:
                    waiting.append((place, entry))
            # Stable: those of one product that share a place stay in their order.
            waiting.sort(key=lambda item: item[0])
        await cursor.close()
        return waiting[:limit]

    async def done(self, epoch: int, ids: Sequence[int]) -> bool:
        """Remove events, if the epoch is ours."""
        if epoch <= 0:
            return False
        mine = await self._database.write(
            lambda: self._database.consumers.update_one(
                {"_id": OUTBOX_CONSUMER, "epoch": {"$eq": epoch}}, {"$addToSet": {"done": {"$each": list(ids)}}}
            )
        )
        if mine.matched_count != 1:
            return False
        if ids:
            await self._remove(ids)
        return True

    async def _remove(self, ids: Sequence[int]) -> None:
        wanted = {"$in": list(ids)}
        await self._database.write(
            lambda: self._database.products.update_many(
                {_EVENT_ID: wanted}, {"$pull": {"pending_events": {"id": wanted}}}
            )
        )
        await self._database.write(
            lambda: self._database.consumers.update_one({"_id": OUTBOX_CONSUMER}, {"$pullAll": {"done": list(ids)}})
        )
