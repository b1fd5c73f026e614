"""What a batch of products means for the documents that are there: who is refused, and what is written. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from persistence.errors import AlreadyExists, StaleVersion, StoreUnavailable, WriteRefused
from persistence.mongo.database import Document
from persistence.mongo.documents import Price, check_events, check_write, price_fields, prices_of, product_fields
from persistence.product_batches import accepted
from persistence.product_lists import replaces_price
from persistence.records import NewEvent, PriceRecord, ProductRecord, ProductWrite, VariantRecord

PENDING_EVENTS_MAX = 500
PENDING_BYTES_MAX = 4 * 1024 * 1024
"""So much may wait in one product's document, which the server bounds at 16 MiB."""
PAST_PRICES_MAX = 200
"""A product with more replaced prices puts the older ones away."""
PAST_PRICE_KEPT_MS = 60 * 60 * 1000
"""Not those replaced so lately: who looked at the SKU before must still run into their links."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What is there of the products and SKUs of a batch."""

    products: Mapping[str, Document]
    """By id; tombstones too."""
    newest: Mapping[str, PriceRecord]
    """The newest price version of each SKU, of whichever product."""
    holders: Mapping[str, str]
    """SKU → the product that has it."""

    @classmethod
    def of(cls, documents: Sequence[Document]) -> "Held":
        """From the documents of the products, and of all others that have, or had, one of the SKUs."""
        newest: dict[str, PriceRecord] = {}
        holders: dict[str, str] = {}
        for document in documents:
            holders.update(dict.fromkeys(document.get("skus", ()), document["_id"]))
            for price in (*prices_of(document, "past"), *prices_of(document, "current")):
                if price.sku not in newest or newest[price.sku].version < price.version:
                    newest[price.sku] = price.record(document["_id"])
        return cls(products={document["_id"]: document for document in documents}, newest=newest, holders=holders)

    def let_go(self, product: ProductRecord) -> set[str]:
        """The SKUs that a product has and will not have."""
        before = self.products.get(product.id, {}).get("skus", ())
        return set(before) - {variant.sku for variant in product.variants}

    def taken(self, product: ProductRecord) -> set[str]:
        """The SKUs that a product will have and another one has."""
        return {variant.sku for variant in product.variants if self.holders.get(variant.sku, product.id) != product.id}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What becomes of a product's document, and the price versions to put away before."""

    fields: Document
    put_away: Sequence[PriceRecord] = field(default=())


def refusals(writes: Sequence[ProductWrite], held: Held) -> dict[str, WriteRefused]:
    """Product id → why it is refused, as far as what is held tells."""
    refused: dict[str, WriteRefused] = {}
    left = list(writes)
    while True:
        free = {sku for write in left for sku in held.let_go(write.product)}
        newly: dict[str, WriteRefused] = {}
        for write in left:
            try:
                _check(write, held, free)
            except WriteRefused as error:
                newly[write.product.id] = error
        if not newly:
            return refused
        # Who is refused lets nothing go, so others may be refused for it.
        refused |= newly
        left = accepted(left, newly)


def _check(write: ProductWrite, held: Held, free: set[str]) -> None:
    product, document = write.product, held.products.get(write.product.id)
    if write.expected_version == 0:
        if document is not None:
            raise AlreadyExists(f"product {product.id} exists")
    else:
        check_version(product.id, document, write.expected_version)
    check_write(write)
    if not held.taken(product) <= free:
        raise AlreadyExists(f"a SKU of {product.id} belongs to another product")
    for variant in product.variants:
        replaces_price(held.newest.get(variant.sku), product, variant)


def check_version(product_id: str, document: Document | None, expected_version: int) -> None:
    """Raise `StaleVersion` unless the product is there at this version."""
    if document is None or document["deleted"] or document["version"] != expected_version:
        raise StaleVersion(f"product {product_id} is not at version {expected_version}")


def check_room(product_id: str, document: Document | None, events: Sequence[NewEvent]) -> None:
    """Raise `StoreUnavailable` if too many events of a product wait already: their consumer is away."""
    waiting = (document or {}).get("pending_events", ())
    size = sum(len(entry["body"]) for entry in waiting) + sum(len(event.body) for event in events)
    if len(waiting) + len(events) > PENDING_EVENTS_MAX or size > PENDING_BYTES_MAX:
        raise StoreUnavailable(f"product {product_id}: {len(waiting)} of its events wait for their consumer")


def plan_product(product: ProductRecord, held: Held) -> Plan:
    """The document of a product that was not refused."""
    document = held.products.get(product.id, {})
    current, past = [], prices_of(document, "past")
    variants = {variant.sku: variant for variant in product.variants}
    mine = {price.sku: price for price in prices_of(document, "current")}
    for sku, price in mine.items():
        if sku not in variants or variants[sku].price_version != price.version:
            past.append(price.ended(product.updated_at_ms))
    for sku, variant in variants.items():
        newest = held.newest.get(sku)
        if replaces_price(newest, product, variant):
            current.append(_first_of(variant, product, newest))
        else:
            current.append(mine[sku])
    kept, put_away = _part(past, product.updated_at_ms)
    return Plan(
        fields=product_fields(product) | price_fields(current, kept),
        put_away=[price.record(product.id) for price in put_away],
    )


def plan_tombstone(document: Document, events: Sequence[NewEvent]) -> Document:
    """What becomes of a product that is deleted: its prices end, and its SKUs are free."""
    check_events(events)
    at_ms = max((event.at_ms for event in events), default=0)
    past = [*prices_of(document, "past"), *(price.ended(at_ms) for price in prices_of(document, "current"))]
    return {"version": document["version"] + 1, "deleted": True, "skus": [], **price_fields([], past)}


def _first_of(variant: VariantRecord, product: ProductRecord, newest: PriceRecord | None) -> Price:
    return Price(
        sku=variant.sku,
        version=variant.price_version,
        price_minor=variant.price_minor,
        currency=product.currency,
        valid_from_ms=product.updated_at_ms,
        replaced_at_ms=None,
        after=0 if newest is None else newest.version,
    )


def _part(past: Sequence[Price], at_ms: int) -> tuple[list[Price], list[Price]]:
    """(those that stay in the document, those to put away). Each SKU's newest stays: the next version follows it."""
    if len(past) <= PAST_PRICES_MAX:
        return list(past), []
    newest = {price.sku: price.version for price in sorted(past, key=lambda price: price.version)}
    kept: list[Price] = []
    put_away: list[Price] = []
    for price in past:
        ended_at_ms = price.replaced_at_ms or 0
        lately = ended_at_ms > at_ms - PAST_PRICE_KEPT_MS
        (kept if lately or newest[price.sku] == price.version else put_away).append(price)
    return kept, put_away
