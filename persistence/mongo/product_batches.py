"""Writes products to MongoDB: any number in few round trips, each of them one document, whole or not at all.

read what is there ─► refuse ─► number the events ─► put old prices away ─► write, in rounds:
                                                            who takes a SKU from another of the batch waits for it
"""

import uuid
from collections.abc import Sequence
from typing import Any

import bson
from bson.errors import BSONError
from pymongo import InsertOne, ReturnDocument, UpdateOne
from pymongo.errors import BulkWriteError

from persistence.errors import OutcomeUnknown, StaleVersion, StoreUnavailable, WriteRefused
from persistence.mongo.database import Document, MongoDatabase
from persistence.mongo.documents import event_entries
from persistence.mongo.faults import fault_of, refusal
from persistence.mongo.product_plans import (
    Held,
    check_room,
    check_version,
    plan_product,
    plan_tombstone,
    refusals,
)
from persistence.mongo.schema import EVENT_IDS, not_prepared
from persistence.product_batches import accepted, refused_claims
from persistence.records import NewEvent, PriceRecord, ProductRecord, ProductWrite

_Refused = dict[str, WriteRefused]
_Write = InsertOne[Document] | UpdateOne
_HELD_FIELDS = ("version", "deleted", "skus", "current", "past", "pending_events.body")
_INDEXED_LISTS = ("skus", "known_skus", "price_links")
"""Left out when they are empty: a unique index would take two empty ones for the same."""
_MARKS_MAX = 8
DOCUMENT_BYTES_MAX = 11 * 1024 * 1024
"""The server takes 16 MiB: with the events that wait already, and their names."""


class ProductBatches:
    """Each product is written whole: with its SKUs, prices and events.

    Guarantees: who is not among the refused is written, and of the refused nothing is. Products of a batch are not
    written at the same instant. Products that exchange SKUs in a ring let go of them first, and can be bought all the
    while; if the process dies just then, a third product may take such a SKU, until the batch is written again.
    """

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    async def save(self, writes: Sequence[ProductWrite]) -> _Refused:
        """Write them; product id → why it was refused. Raises `StoreUnavailable` (nothing is written), `OutcomeUnknown`."""
        refused = refused_claims(writes)
        left = accepted(writes, refused)
        if not left:
            return refused
        held = await self._held([write.product for write in left])
        refused |= refusals(left, held)
        left = accepted(left, refused)
        for write in left:
            check_room(write.product.id, held.products.get(write.product.id), write.events)
        mark = uuid.uuid4().hex
        operations, put_away, unfit = await self._operations(left, held, mark)
        left = accepted(left, unfit)
        await self._put_away(put_away)
        return refused | unfit | await self._in_rounds(left, held, operations, mark)

    async def bury(self, product_id: str, expected_version: int, events: Sequence[NewEvent]) -> None:
        """Leave a tombstone. Raises `StaleVersion`."""
        found = await self._database.find(
            self._database.products, {"_id": {"$eq": product_id}}, fields=_HELD_FIELDS, limit=1
        )
        document = found[0] if found else None
        check_version(product_id, document, expected_version)
        assert document is not None
        fields = plan_tombstone(document, events)
        check_room(product_id, document, events)
        entries = event_entries(events, await self._first_id(len(events)))
        filters, update = _change(product_id, expected_version, fields, entries, uuid.uuid4().hex)
        update["$unset"] = {"document": "", **update.get("$unset", {})}
        done = await self._database.write(lambda: self._database.products.update_one(filters, update))
        if done.matched_count != 1:
            raise StaleVersion(f"product {product_id} is not at version {expected_version}")

    async def _held(self, products: Sequence[ProductRecord]) -> Held:
        skus = [variant.sku for product in products for variant in product.variants]
        either = [{"_id": {"$in": [product.id for product in products]}}, {"known_skus": {"$in": skus}}]
        return Held.of(await self._database.find(self._database.products, {"$or": either}, fields=_HELD_FIELDS))

    async def _first_id(self, count: int) -> int:
        """The first of so many ids that no event has had. They go up in time, so they tell in which order to read."""
        if count == 0:
            return 0
        try:
            counter = await self._database.write(
                lambda: self._database.counters.find_one_and_update(
                    {"_id": EVENT_IDS}, {"$inc": {"last": count}}, return_document=ReturnDocument.AFTER
                )
            )
        except OutcomeUnknown as error:
            # Ids may be lost; no product was written.
            raise StoreUnavailable(str(error)) from error
        if counter is None:
            raise not_prepared(self._database)
        last: int = counter["last"]
        return last - count + 1

    async def _operations(
        self, writes: Sequence[ProductWrite], held: Held, mark: str
    ) -> tuple[dict[str, _Write], list[PriceRecord], _Refused]:
        """By product id what to do; the prices to put away before; who does not fit into a document."""
        next_id = await self._first_id(sum(len(write.events) for write in writes))
        operations: dict[str, _Write] = {}
        put_away: list[PriceRecord] = []
        unfit: _Refused = {}
        for write in writes:
            product = write.product
            plan = plan_product(product, held)
            entries = event_entries(write.events, next_id)
            next_id += len(entries)
            try:
                _check_size(product.id, plan.fields, entries)
            except WriteRefused as error:
                unfit[product.id] = error
                continue
            put_away += plan.put_away
            if write.expected_version == 0:
                fields = {name: value for name, value in plan.fields.items() if value or name not in _INDEXED_LISTS}
                made = {"_id": product.id, **fields, "pending_events": entries, "writes": [mark]}
                operations[product.id] = InsertOne(made)
            else:
                operations[product.id] = UpdateOne(
                    *_change(product.id, write.expected_version, plan.fields, entries, mark)
                )
        return operations, put_away, unfit

    async def _put_away(self, prices: Sequence[PriceRecord]) -> None:
        """Before they leave their products. Once more is the same: a replaced price never changes."""
        if not prices:
            return
        operations = []
        for price in prices:
            key = {"sku": price.sku, "version": price.version}
            rest = {name: getattr(price, name) for name in price.__struct_fields__ if name not in {*key, "name"}}
            operations.append(UpdateOne(key, {"$setOnInsert": rest}, upsert=True))
        try:
            await self._database.write(lambda: self._database.prices.bulk_write(operations, ordered=False))
        except OutcomeUnknown as error:
            raise StoreUnavailable(str(error)) from error

    async def _in_rounds(
        self, writes: Sequence[ProductWrite], held: Held, operations: dict[str, _Write], mark: str
    ) -> _Refused:
        refused: _Refused = {}
        left = list(writes)
        begun = False
        try:
            while left:
                leaving = {write.product.id: held.let_go(write.product) for write in left}
                ready = [write for write in left if not _waits(write.product, held, leaving)]
                if not ready:
                    # They exchange SKUs in a ring.
                    begun = True
                    await self._release(left, held)
                    ready = left
                refused |= await self._round(ready, operations, mark)
                begun = True
                done = {write.product.id for write in ready}
                left = [write for write in left if write.product.id not in done]
        except StoreUnavailable as error:
            if begun:
                raise OutcomeUnknown(f"some products of the batch are written: {error}") from error
            raise
        return refused

    async def _release(self, writes: Sequence[ProductWrite], held: Held) -> None:
        wanted = {sku for write in writes for sku in held.taken(write.product)}
        operations = []
        for write in writes:
            if held.let_go(write.product) & wanted:
                before = held.products[write.product.id].get("skus", ())
                kept = [sku for sku in before if sku not in held.let_go(write.product) & wanted]
                update: Document = {"$set": {"skus": kept}} if kept else {"$unset": {"skus": ""}}
                operations.append(UpdateOne(_at_version(write.product.id, write.expected_version), update))
        await self._database.write(lambda: self._database.products.bulk_write(operations, ordered=False))

    async def _round(self, writes: Sequence[ProductWrite], operations: dict[str, _Write], mark: str) -> _Refused:
        changed = [write for write in writes if write.expected_version != 0]
        batch = [operations[write.product.id] for write in writes]
        refused: _Refused = {}
        matched = 0

        async def write_all() -> None:
            nonlocal matched
            try:
                matched = (await self._database.products.bulk_write(batch, ordered=False)).matched_count
            except BulkWriteError as error:
                refused.update(_refused_of(error, [write.product for write in writes]))
                matched = int((error.details or {}).get("nMatched", 0))

        await self._database.write(write_all)
        asked = [write for write in changed if write.product.id not in refused]
        # What a unique index refused may count as matched, so it is not subtracted.
        if asked and (matched < len(changed) or refused):
            refused |= await self._stale(asked, mark)
        return refused

    async def _stale(self, writes: Sequence[ProductWrite], mark: str) -> _Refused:
        """A batch tells only how many documents were at their versions. Those that were have its mark."""
        filters = {"_id": {"$in": [write.product.id for write in writes]}, "writes": mark}
        try:
            found = await self._database.find(self._database.products, filters, fields=["version"])
        except StoreUnavailable as error:
            raise OutcomeUnknown(f"which products were written is not known: {error}") from error
        marked = {document["_id"] for document in found}
        return {
            write.product.id: StaleVersion(f"product {write.product.id} is not at version {write.expected_version}")
            for write in writes
            if write.product.id not in marked
        }


def _check_size(product_id: str, fields: Document, entries: Sequence[Document]) -> None:
    """Raise `WriteRefused` for what no document holds: it would take its whole batch with it."""
    try:
        size = len(bson.encode({"_id": product_id, **fields, "pending_events": list(entries)}))
    except (BSONError, OverflowError) as error:
        raise WriteRefused(f"product {product_id} fits into no document: {error}") from error
    if size > DOCUMENT_BYTES_MAX:
        raise WriteRefused(f"product {product_id} fits into no document: it has {size} bytes")


def _waits(product: ProductRecord, held: Held, leaving: dict[str, set[str]]) -> bool:
    """Whether a SKU it takes is still with another product of the batch."""
    return any(sku in skus for sku in held.taken(product) for other, skus in leaving.items() if other != product.id)


def _at_version(product_id: str, expected_version: int) -> Document:
    return {"_id": {"$eq": product_id}, "version": {"$eq": expected_version}, "deleted": False}


def _change(
    product_id: str, expected_version: int, fields: Document, entries: Sequence[Document], mark: str
) -> tuple[Document, dict[str, Any]]:
    """Filter and update of one document at its version."""
    empty = [name for name in _INDEXED_LISTS if not fields.get(name, True)]
    update: dict[str, Any] = {
        "$set": {name: value for name, value in fields.items() if name not in empty},
        "$push": {
            "pending_events": {"$each": list(entries)},
            "writes": {"$each": [mark], "$slice": -_MARKS_MAX},
        },
    }
    if empty:
        update["$unset"] = dict.fromkeys(empty, "")
    return _at_version(product_id, expected_version), update


def _refused_of(error: BulkWriteError, products: Sequence[ProductRecord]) -> _Refused:
    details = error.details or {}
    if details.get("writeConcernErrors"):
        raise fault_of(error, writing=True) from error
    refused: _Refused = {}
    for failed in details.get("writeErrors", ()):
        definite = refusal(failed)
        if definite is None:
            raise fault_of(error, writing=True) from error
        refused[products[failed["index"]].id] = definite
    return refused
