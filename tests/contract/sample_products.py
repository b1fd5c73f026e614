"""The sample catalog as records, and what the suites of the search index ask of an index."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from importlib.resources import files
from typing import Any

import msgspec

from persistence.ports import ProductSearch
from persistence.records import ProductRecord, SearchPage, SearchQuery, VariantRecord
from tests.contract.builders import product, variant

FIRST_CREATED_AT_MS = 1_000


def sample_products() -> list[ProductRecord]:
    """The twelve products of `serve/sample_catalog.json`, each a millisecond younger than the one before."""
    catalog = msgspec.json.decode(files("serve").joinpath("sample_catalog.json").read_bytes())
    return [_record(item["product"], FIRST_CREATED_AT_MS + n) for n, item in enumerate(catalog["products"])]


def _record(product: dict[str, Any], created_at_ms: int) -> ProductRecord:
    variants = (
        VariantRecord(sku=each["sku"], options=each["options"], price_minor=round(each["price"] * 100), price_version=1)
        for each in product["variants"]
    )
    return ProductRecord(
        id=product["id"],
        name=product["name"],
        description=product["description"],
        brand=product["brand"],
        currency=product["currency"],
        categories=tuple(product["categories"]),
        attributes=product["attributes"],
        images=(),
        variants=tuple(variants),
        version=1,
        created_at_ms=created_at_ms,
        updated_at_ms=created_at_ms,
    )


async def pages(*products: ProductRecord) -> AsyncIterator[Sequence[ProductRecord]]:
    for each in products:
        await asyncio.sleep(0)  # others get their turn, in memory too
        yield [each]


def thing(product_id: str, name: str, **more: Any) -> ProductRecord:
    """A product that is found by its name and what is said here, and by nothing else."""
    plain: dict[str, Any] = {"attributes": {}, "brand": "", "description": "", "categories": ()}
    bare = product(product_id, name=name, variants=[msgspec.structs.replace(variant(product_id), options={})])
    return msgspec.structs.replace(bare, **{**plain, **more})


async def found(search: ProductSearch, text: str = "", **filters: Any) -> list[str]:
    """The ids of all hits, in order."""
    return [hit.id for hit in (await search.search(SearchQuery(text=text, limit=100, **filters))).products]


async def seen(search: ProductSearch) -> dict[str, int]:
    """Every product's version."""
    return {hit.id: hit.version for hit in (await search.search(SearchQuery(text="", limit=100))).products}


def counts(page: SearchPage) -> dict[str, dict[str, int]]:
    return {name: {each.value: each.count for each in values} for name, values in page.facets.items()}
