"""Changes of one product, as the routes make them."""

import secrets
from collections.abc import Collection, Mapping

import msgspec

from persistence.errors import AlreadyExists, StaleVersion
from persistence.ports import Catalog
from persistence.records import ProductRecord
from serve.catalog.documents import (
    WRITE_ATTEMPTS_MAX,
    check_currency,
    described,
    document,
    product_event,
    slug,
    written,
)
from serve.errors import Problem, invalid_field, not_found
from serve.etags import require_version
from serve.events import Cause
from serve.schemas.catalog import ProductIn


async def create_product(
    catalog: Catalog, body: ProductIn, *, cause: Cause, currency: str, at_ms: int
) -> ProductRecord:
    """Store a new product. Raises `Problem` 409 if its id or a SKU is taken, 422 for an unknown category."""
    check_currency(body, currency)
    check_categories(body, await catalog.category_ids())
    product_id = wanted_id = body.id or f"prod-{slug(body.name)}"
    for attempt in range(WRITE_ATTEMPTS_MAX):
        product = document(product_id, body, None, currency=currency, at_ms=at_ms, attempt=attempt)
        try:
            await _save(catalog, product, None, cause)
        except StaleVersion:
            continue  # a SKU that was sold before: its price versions have gone further
        except AlreadyExists:
            taken = await skus_of_others(catalog, product)
            if taken or body.id is not None or product_id != wanted_id:
                raise taken_problem(taken) from None
            # The name was given before, to a product that may be gone: its id is not given again.
            product_id = f"{wanted_id}-{secrets.token_hex(4)}"
            continue
        return product
    raise Problem("unavailable")


async def replace_product(
    catalog: Catalog,
    product_id: str,
    body: ProductIn,
    *,
    expected: frozenset[int] | None,
    cause: Cause,
    currency: str,
    at_ms: int,
) -> ProductRecord:
    """Store the product anew. Raises `Problem` 404, 409, 412 or 422."""
    if body.id is not None and body.id != product_id:
        raise invalid_field("/id", "must be the id in the path")
    check_currency(body, currency)
    known = await catalog.category_ids()
    for attempt in range(WRITE_ATTEMPTS_MAX):
        old = await _existing(catalog, product_id, expected)
        check_categories(body, known | set(old.categories))
        product = document(product_id, body, old, currency=currency, at_ms=at_ms, attempt=attempt)
        try:
            await _save(catalog, product, old, cause)
        except StaleVersion:
            continue
        except AlreadyExists:
            raise taken_problem(await skus_of_others(catalog, product)) from None
        return product
    raise Problem("version-mismatch", "Somebody else keeps changing it.")


async def delete_product(
    catalog: Catalog, product_id: str, *, expected: frozenset[int] | None, cause: Cause, at_ms: int
) -> None:
    """Delete the product. Raises `Problem` 404 or 412."""
    for _ in range(WRITE_ATTEMPTS_MAX):
        old = await _existing(catalog, product_id, expected)
        gone = msgspec.structs.replace(old, version=old.version + 1, updated_at_ms=at_ms)
        try:
            await catalog.delete_product(
                product_id, old.version, [product_event(cause, "deleted", gone, described(gone))]
            )
        except StaleVersion:
            continue
        return
    raise Problem("version-mismatch", "Somebody else keeps changing it.")


def check_categories(body: ProductIn, known: Collection[str]) -> None:
    """Raises `Problem` 422 if the product names a category that is not known.

    Those that the stored product names are known: a category may have been removed since.
    """
    for index, category_id in enumerate(body.categories):
        if category_id not in known:
            raise invalid_field(f"/categories/{index}", "There is no such category.")


async def skus_of_others(catalog: Catalog, product: ProductRecord) -> Mapping[str, str]:
    """Which of its SKUs belong to another product: SKU → that product's id."""
    prices = await catalog.prices([variant.sku for variant in product.variants])
    return {sku: price.product_id for sku, price in prices.items() if price.product_id != product.id}


def taken_problem(taken: Mapping[str, str]) -> Problem:
    """409 for SKUs of other products; without any it is the id that was given before."""
    if not taken:
        return Problem("already-exists", "The id belongs to another product, or to one that was deleted.")
    told = ", ".join(f"{sku} to {product_id}" for sku, product_id in sorted(taken.items()))
    return Problem("already-exists", f"SKUs belong to other products: {told}.", extensions={"skus": sorted(taken)})


async def _existing(catalog: Catalog, product_id: str, expected: frozenset[int] | None) -> ProductRecord:
    old = await catalog.product(product_id)
    if old is None:
        raise not_found()
    require_version(expected, old.version)
    return old


async def _save(catalog: Catalog, product: ProductRecord, old: ProductRecord | None, cause: Cause) -> None:
    write = written(product, old, cause)
    await catalog.save_product(product, write.expected_version, write.events)
