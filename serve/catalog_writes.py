"""Changes of the catalog: versions, price versions and events of a product that is written."""

import re
import secrets
import unicodedata
from typing import Final

import msgspec
from starlette.requests import Request

from persistence.errors import AlreadyExists, StaleVersion
from persistence.ports import Catalog
from persistence.product_lists import price_minor
from persistence.records import NewEvent, ProductRecord, VariantRecord
from serve.errors import Problem, invalid_field, not_found
from serve.etags import require_version
from serve.events import outbox_event
from serve.schemas.catalog import ProductIn
from serve.schemas.money import money_number

WRITE_ATTEMPTS_MAX: Final = 3
_SLUG_CHARACTERS_MAX: Final = 50


def slug(name: str) -> str:
    """`Premium Ultrabook Pro 15` → `premium-ultrabook-pro-15`; random if nothing of the name can be kept."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    kept = re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:_SLUG_CHARACTERS_MAX].strip("-")
    return kept or secrets.token_hex(4)


async def create_product(
    catalog: Catalog, request: Request, body: ProductIn, *, currency: str, at_ms: int
) -> ProductRecord:
    """Store a new product. Raises `Problem` 409 if its id or a SKU is taken, 422 for an unknown category."""
    await _check_categories(catalog, body)
    product_id = body.id or await _free_id(catalog, body.name)
    for attempt in range(WRITE_ATTEMPTS_MAX):
        product = _record(product_id, body, None, currency=currency, at_ms=at_ms, attempt=attempt)
        event = _event(request, "created", product, at_ms, _described(product))
        try:
            await catalog.save_product(product, 0, [event])
        except StaleVersion:
            continue  # a SKU that was sold before: its price versions have gone further
        except AlreadyExists:
            raise Problem("already-exists", "The id or a SKU belongs to another product.") from None
        return product
    raise Problem("unavailable")


async def replace_product(
    catalog: Catalog,
    request: Request,
    product_id: str,
    body: ProductIn,
    *,
    expected: frozenset[int] | None,
    currency: str,
    at_ms: int,
) -> ProductRecord:
    """Store the product anew. Raises `Problem` 404, 409, 412 or 422."""
    if body.id is not None and body.id != product_id:
        raise invalid_field("/id", "must be the id in the path")
    await _check_categories(catalog, body)
    for attempt in range(WRITE_ATTEMPTS_MAX):
        old = await _existing(catalog, product_id, expected)
        product = _record(product_id, body, old, currency=currency, at_ms=at_ms, attempt=attempt)
        changes = _price_changes(old, product)
        fact = "price_changed" if changes else "updated"
        event = _event(request, fact, product, at_ms, {**_described(product), "changes": changes})
        try:
            await catalog.save_product(product, old.version, [event])
        except StaleVersion:
            continue
        except AlreadyExists:
            raise Problem("already-exists", "A SKU belongs to another product.") from None
        return product
    raise Problem("version-mismatch", "Somebody else keeps changing it.")


async def delete_product(
    catalog: Catalog, request: Request, product_id: str, *, expected: frozenset[int] | None, at_ms: int
) -> None:
    """Delete the product. Raises `Problem` 404 or 412."""
    for _ in range(WRITE_ATTEMPTS_MAX):
        old = await _existing(catalog, product_id, expected)
        gone = msgspec.structs.replace(old, version=old.version + 1)
        event = _event(request, "deleted", gone, at_ms, {"id": product_id, "version": gone.version})
        try:
            await catalog.delete_product(product_id, old.version, [event])
        except StaleVersion:
            continue
        return
    raise Problem("version-mismatch", "Somebody else keeps changing it.")


async def _existing(catalog: Catalog, product_id: str, expected: frozenset[int] | None) -> ProductRecord:
    old = await catalog.product(product_id)
    if old is None:
        raise not_found()
    require_version(expected, old.version)
    return old


async def _free_id(catalog: Catalog, name: str) -> str:
    wanted = f"prod-{slug(name)}"
    return wanted if await catalog.product(wanted) is None else f"{wanted}-{secrets.token_hex(4)}"


async def _check_categories(catalog: Catalog, body: ProductIn) -> None:
    known = {category.id for category in await catalog.categories()}
    for index, category_id in enumerate(body.categories):
        if category_id not in known:
            raise invalid_field(f"/categories/{index}", "There is no such category.")


def _record(
    product_id: str, body: ProductIn, old: ProductRecord | None, *, currency: str, at_ms: int, attempt: int
) -> ProductRecord:
    if body.currency not in {None, currency}:
        raise invalid_field("/currency", f"The shop sells in {currency}.")
    held = {} if old is None else {variant.sku: variant for variant in old.variants}
    kept = old is not None and old.currency == currency
    variants = []
    for variant, price in zip(body.variants, body.variant_prices(), strict=True):
        before = held.get(variant.sku)
        if before is not None and kept and before.price_minor == price:
            version = before.price_version
        else:
            # The time, so that a SKU that comes back goes on above every version it ever had.
            version = max(at_ms + attempt, before.price_version + 1 if before is not None else 0)
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


def _event(request: Request, fact: str, product: ProductRecord, at_ms: int, body: dict[str, object]) -> NewEvent:
    """One event a version: consumers count on versions without gaps or repeats."""
    return outbox_event(
        request,
        entity_type="product",
        entity_id=product.id,
        version=product.version,
        fact=fact,
        body=body,
        at_ms=at_ms,
    )


def _described(product: ProductRecord) -> dict[str, object]:
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
