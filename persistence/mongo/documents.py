"""How products, prices and events are written as documents.

A product is one document, so that one write changes it with its SKUs, its prices and its events, on a server without
transactions too. What the shop put into it stands in `document` as JSON text: whatever its attributes are called ("$set",
"a.b", "") and whatever numbers they hold, they come back exactly, and never mean anything to the server. The fields
beside it are what is queried.

    _id  version  deleted            a tombstone has no document, and no SKU
    document                         the whole product, JSON
    name  name_key  price_minor  created_at_ms  categories       lists
    skus                             on sale; a unique index: a SKU is one product's
    current  past                    price versions; those that are not replaced, and those that are
    known_skus                       of current and past: where a SKU's prices are found
    price_links                      "<version before> <SKU>" of each version; a unique index: no version has two successors
    pending_events                   the outbox: until its consumer has taken them in
    writes                           who wrote last: marks of batches
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from persistence.errors import WriteRefused
from persistence.mongo.database import Document
from persistence.product_lists import name_key, price_minor
from persistence.records import NewEvent, PriceRecord, ProductRecord, ProductWrite

_PRODUCT = msgspec.json.Decoder(ProductRecord)
_EVENT_FIELDS = NewEvent.__struct_fields__


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """One price version in its product's document. `after`: the SKU's version before it, of any product; 0: none."""

    sku: str
    version: int
    price_minor: int
    currency: str
    valid_from_ms: int
    replaced_at_ms: int | None
    after: int

    def ended(self, at_ms: int) -> "Price":
        """The price, replaced at this time."""
        return msgspec.structs.replace(self, replaced_at_ms=max(at_ms, self.valid_from_ms))

    def record(self, product_id: str, name: str = "") -> PriceRecord:
        """As it crosses the port."""
        return PriceRecord(
            sku=self.sku,
            version=self.version,
            product_id=product_id,
            name=name,
            price_minor=self.price_minor,
            currency=self.currency,
            valid_from_ms=self.valid_from_ms,
            replaced_at_ms=self.replaced_at_ms,
        )


def prices_of(document: Document, field: str) -> list[Price]:
    """The price versions in a field of a product's document."""
    return [msgspec.convert(entry, Price) for entry in document.get(field, ())]


def price_fields(current: Sequence[Price], past: Sequence[Price]) -> Document:
    """What a product's document says about prices."""
    both = [*past, *current]
    return {
        "current": [msgspec.to_builtins(price) for price in current],
        "past": [msgspec.to_builtins(price) for price in past],
        "known_skus": sorted({price.sku for price in both}),
        "price_links": sorted(f"{price.after} {price.sku}" for price in both),
    }


def product_fields(product: ProductRecord) -> Document:
    """What a product's document says about the product."""
    return {
        "version": product.version,
        "deleted": False,
        "document": msgspec.json.encode(product).decode(),
        "name": product.name,
        "name_key": name_key(product.name),
        "price_minor": price_minor(product),
        "created_at_ms": product.created_at_ms,
        "categories": list(dict.fromkeys(product.categories)),
        "skus": [variant.sku for variant in product.variants],
    }


def product_of(document: Document) -> ProductRecord:
    """The product in a document."""
    return _PRODUCT.decode(document["document"])


def event_entries(events: Iterable[NewEvent], first_id: int) -> list[Document]:
    """Events as they wait in a document. Their ids go up from `first_id`."""
    return [
        {"id": event_id, **{name: getattr(event, name) for name in _EVENT_FIELDS}}
        for event_id, event in enumerate(events, first_id)
    ]


def event_of(entry: Document) -> NewEvent:
    """The event that waits."""
    values: dict[str, Any] = {name: entry[name] for name in _EVENT_FIELDS}
    return NewEvent(**values)


def check_write(write: ProductWrite) -> None:
    """Raise `WriteRefused` for a product or an event that breaks an invariant."""
    product = write.product
    if product.version <= 0:
        raise WriteRefused(f"version {product.version}: versions start at 1")
    for variant in product.variants:
        if variant.price_minor < 0 or variant.price_version <= 0:
            raise WriteRefused(f"product {product.id} has an impossible price")
    check_events(write.events)


def check_events(events: Iterable[NewEvent]) -> None:
    """Raise `WriteRefused` for an event that no outbox would take."""
    for event in events:
        if event.version <= 0 or event.schema_version <= 0:
            raise WriteRefused(f"event {event.type} of {event.entity_id}: versions start at 1")
