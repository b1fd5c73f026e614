"""From what somebody wants a product to be to the document that is stored, with price versions and the event of it."""

import re
import secrets
import unicodedata
from typing import Final

import msgspec

from persistence.product_lists import price_minor
from persistence.records import NewEvent, ProductRecord, ProductWrite, VariantRecord
from serve.errors import invalid_field
from serve.events import Cause, event_of
from serve.schemas.catalog import ProductIn
from serve.schemas.money import money_number

WRITE_ATTEMPTS_MAX: Final = 3
_SLUG_CHARACTERS_MAX: Final = 50
_AHEAD_MS: Final = (0, 1_000, 1_000_000)
"""By attempt. A version is taken if the SKU was sold in this very millisecond, or under a clock that was ahead."""
assert len(_AHEAD_MS) == WRITE_ATTEMPTS_MAX


def slug(name: str) -> str:
    """`Premium Ultrabook Pro 15` → `premium-ultrabook-pro-15`; random if nothing of the name can be kept."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    kept = re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:_SLUG_CHARACTERS_MAX].strip("-")
    return kept or secrets.token_hex(4)


def check_currency(body: ProductIn, currency: str) -> None:
    """Raises `Problem` 422 if the product names another currency than the shop's."""
    if body.currency not in {None, currency}:
        raise invalid_field("/currency", f"The shop sells in {currency}.")


def document(
    product_id: str, body: ProductIn, old: ProductRecord | None, *, currency: str, at_ms: int, attempt: int = 0
) -> ProductRecord:
    """The document that follows `old` (None: the first). A variant whose price stays keeps its price version.

    `attempt` counts how often the store found a price version taken: each time the new ones go further ahead.
    """
    held = {} if old is None else {variant.sku: variant for variant in old.variants}
    kept = old is not None and old.currency == currency
    variants = []
    for variant, price in zip(body.variants, body.variant_prices(), strict=True):
        before = held.get(variant.sku)
        if before is not None and kept and before.price_minor == price:
            version = before.price_version
        else:
            # The time, so that a SKU that comes back goes on above every version it ever had.
            version = max(at_ms + _AHEAD_MS[attempt], before.price_version + 1 if before is not None else 0)
        variants.append(
            VariantRecord(sku=variant.sku, options=dict(variant.options), price_minor=price, price_version=version)
        )
    return ProductRecord(
        id=product_id,
        name=body.name,
        description=body.description,
        brand=body.brand,
        currency=currency,
        categories=tuple(dict.fromkeys(body.categories)),
        attributes=dict(body.attributes),
        images=tuple(body.images),
        variants=tuple(variants),
        version=1 if old is None else old.version + 1,
        created_at_ms=at_ms if old is None else old.created_at_ms,
        updated_at_ms=at_ms,
    )


def is_same(old: ProductRecord, new: ProductRecord) -> bool:
    """Whether `new` would change nothing but the version and the time."""
    moved = msgspec.structs.replace(new, version=old.version, updated_at_ms=old.updated_at_ms)
    # As JSON, for True is not 1; and sorted, for the stores may keep the members of an object in another order.
    return old == moved and _canonical(old) == _canonical(moved)


def _canonical(product: ProductRecord) -> bytes:
    return msgspec.json.encode(product.attributes, order="sorted")


def written(product: ProductRecord, old: ProductRecord | None, cause: Cause) -> ProductWrite:
    """The write that puts the product in place of `old`, with its event: created, price_changed or updated.

    One event a version: consumers count on versions without gaps or repeats.
    """
    body = described(product)
    if old is None:
        fact = "created"
    else:
        body["changes"] = changes = _price_changes(old, product)
        fact = "price_changed" if changes else "updated"
    event = product_event(cause, fact, product, body)
    return ProductWrite(product=product, expected_version=0 if old is None else old.version, events=(event,))


def product_event(cause: Cause, fact: str, product: ProductRecord, body: dict[str, object]) -> NewEvent:
    """`product.<fact>` at the product's version and time."""
    return event_of(
        cause,
        entity_type="product",
        entity_id=product.id,
        version=product.version,
        fact=fact,
        body=body,
        at_ms=product.updated_at_ms,
    )


def described(product: ProductRecord) -> dict[str, object]:
    """The whole product: the topic is compacted, so the last message must be enough."""
    return {
        "id": product.id,
        "name": product.name,
        "description": product.description,
        "brand": product.brand,
        "price": money_number(price_minor(product)),
        "currency": product.currency,
        "categories": product.categories,
        "attributes": product.attributes,
        "images": product.images,
        "variants": [
            {
                "sku": variant.sku,
                "options": variant.options,
                "price": money_number(variant.price_minor),
                "priceVersion": variant.price_version,
            }
            for variant in product.variants
        ],
        "version": product.version,
        "createdAtMs": product.created_at_ms,
    }


def _price_changes(old: ProductRecord, new: ProductRecord) -> list[dict[str, object]]:
    before = {variant.sku: variant for variant in old.variants}
    return [
        {
            "sku": variant.sku,
            "was": money_number(before[variant.sku].price_minor),
            "now": money_number(variant.price_minor),
        }
        for variant in new.variants
        if variant.sku in before and before[variant.sku].price_minor != variant.price_minor
    ]
