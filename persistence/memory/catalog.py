"""The catalog in memory: product documents, categories and every price version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from persistence.errors import AlreadyExists, StaleVersion, WriteRefused
from persistence.memory.constraints import check_events, check_version
from persistence.memory.seams import Seams
from persistence.memory.tables import CatalogTables
from persistence.product_lists import (
    cursor_position,
    descending,
    price_minor,
    product_cursor,
    replaces_price,
    sort_key,
)
from persistence.records import CategoryRecord, NewEvent, PriceRecord, ProductQuery, ProductRecord


@dataclass(slots=True)
class MemoryCatalog:
    """Documents with versions; a deleted product's id is never given again."""

    tables: CatalogTables
    seams: Seams = field(default_factory=Seams)

    async def products(self, query: ProductQuery) -> tuple[list[ProductRecord], str | None, int]:
        """A page, the next cursor, and the total."""
        behind = cursor_position(query)
        return await self.seams.call("catalog.products", lambda: self._products(query, behind))

    async def product(self, product_id: str) -> ProductRecord | None:
        """One product; None if it is not there (or deleted)."""
        return await self.seams.call("catalog.product", lambda: self.tables.products.get(product_id))

    async def save_product(self, product: ProductRecord, expected_version: int, events: Sequence[NewEvent]) -> None:
        """Write at `expected_version` (0 = create), with its events and new price versions."""
        await self.seams.call("catalog.save_product", lambda: self._save_product(product, expected_version, events))

    async def delete_product(self, product_id: str, expected_version: int, events: Sequence[NewEvent]) -> None:
        """Leave a tombstone; its SKUs can no longer be bought."""
        await self.seams.call(
            "catalog.delete_product", lambda: self._delete_product(product_id, expected_version, events)
        )

    async def categories(self) -> list[CategoryRecord]:
        """All categories by name, with product counts."""
        return await self.seams.call("catalog.categories", self._categories)

    async def save_category(self, category: CategoryRecord, expected_version: int) -> None:
        """Write at `expected_version` (0 = create)."""
        await self.seams.call("catalog.save_category", lambda: self._save_category(category, expected_version))

    async def delete_category(self, category_id: str, expected_version: int) -> None:
        """Remove a category; products keep existing without it."""
        await self.seams.call("catalog.delete_category", lambda: self._delete_category(category_id, expected_version))

    async def prices(self, skus: Sequence[str]) -> Mapping[str, PriceRecord]:
        """The newest price version of each SKU that can be bought."""
        return await self.seams.call("catalog.prices", lambda: self._prices(skus))

    async def close(self) -> None:
        """Nothing to let go of."""

    def _products(
        self, query: ProductQuery, behind: tuple[str | int, str] | None
    ) -> tuple[list[ProductRecord], str | None, int]:
        matching = [product for product in self.tables.products.values() if _matches(query, product)]
        matching.sort(key=lambda product: (sort_key(query, product), product.id), reverse=descending(query))
        rest = matching
        if behind is not None:
            rest = [product for product in matching if _is_behind(query, product, behind)]
        page = rest[: query.limit]
        cursor = product_cursor(query, page[-1]) if len(rest) > query.limit else None
        return page, cursor, len(matching)

    def _save_product(self, product: ProductRecord, expected_version: int, events: Sequence[NewEvent]) -> None:
        held = self.tables.products.get(product.id)
        if expected_version == 0 and (held is not None or product.id in self.tables.tombstones):
            raise AlreadyExists(f"product {product.id} exists")
        if expected_version != 0 and (held is None or held.version != expected_version):
            raise StaleVersion(f"product {product.id} is not at version {expected_version}")
        skus = [variant.sku for variant in product.variants]
        if len(set(skus)) != len(skus) or any(self.tables.skus.get(sku, product.id) != product.id for sku in skus):
            raise AlreadyExists(f"a SKU of {product.id} belongs to another product")
        if any(variant.price_minor < 0 or variant.price_version <= 0 for variant in product.variants):
            raise WriteRefused(f"product {product.id} has an impossible price")
        check_version(product.version)
        check_events(events)
        replaced = [
            variant for variant in product.variants if replaces_price(self._newest_price(variant.sku), product, variant)
        ]
        removed = set() if held is None else {variant.sku for variant in held.variants} - set(skus)
        self._retire(removed, product.updated_at_ms)
        for variant in replaced:
            self._retire_price(variant.sku, product.updated_at_ms)
            self.tables.prices.setdefault(variant.sku, []).append(
                PriceRecord(
                    sku=variant.sku,
                    version=variant.price_version,
                    product_id=product.id,
                    name=product.name,
                    price_minor=variant.price_minor,
                    currency=product.currency,
                    valid_from_ms=product.updated_at_ms,
                    replaced_at_ms=None,
                )
            )
        self.tables.skus.update((sku, product.id) for sku in skus)
        self.tables.products[product.id] = product
        for event in events:
            self.tables.outbox.add(event)

    def _delete_product(self, product_id: str, expected_version: int, events: Sequence[NewEvent]) -> None:
        held = self.tables.products.get(product_id)
        if held is None or held.version != expected_version:
            raise StaleVersion(f"product {product_id} is not at version {expected_version}")
        check_events(events)
        at_ms = max((event.at_ms for event in events), default=0)
        self._retire({variant.sku for variant in held.variants}, at_ms)
        del self.tables.products[product_id]
        self.tables.tombstones[product_id] = expected_version + 1
        for event in events:
            self.tables.outbox.add(event)

    def _retire(self, skus: set[str], at_ms: int) -> None:
        for sku in skus:
            self._retire_price(sku, at_ms)
            self.tables.skus.pop(sku, None)

    def _retire_price(self, sku: str, at_ms: int) -> None:
        current = self._newest_price(sku)
        if current is not None and current.replaced_at_ms is None:
            self.tables.prices[sku][-1] = msgspec.structs.replace(
                current, replaced_at_ms=max(at_ms, current.valid_from_ms)
            )

    def _newest_price(self, sku: str) -> PriceRecord | None:
        versions = self.tables.prices.get(sku)
        return versions[-1] if versions else None

    def _categories(self) -> list[CategoryRecord]:
        counts: dict[str, int] = {}
        for product in self.tables.products.values():
            for category_id in set(product.categories):
                counts[category_id] = counts.get(category_id, 0) + 1
        rows = (
            msgspec.structs.replace(category, product_count=counts.get(category.id, 0))
            for category in self.tables.categories.values()
        )
        return sorted(rows, key=lambda row: (row.name, row.id))

    def _save_category(self, category: CategoryRecord, expected_version: int) -> None:
        held = self.tables.categories.get(category.id)
        if expected_version == 0 and held is not None:
            raise AlreadyExists(f"category {category.id} exists")
        if expected_version != 0 and (held is None or held.version != expected_version):
            raise StaleVersion(f"category {category.id} is not at version {expected_version}")
        check_version(category.version)
        self.tables.categories[category.id] = category

    def _delete_category(self, category_id: str, expected_version: int) -> None:
        held = self.tables.categories.get(category_id)
        if held is None or held.version != expected_version:
            raise StaleVersion(f"category {category_id} is not at version {expected_version}")
        del self.tables.categories[category_id]

    def _prices(self, skus: Sequence[str]) -> Mapping[str, PriceRecord]:
        found: dict[str, PriceRecord] = {}
        for sku in skus:
            current = self._newest_price(sku)
            if current is not None and current.replaced_at_ms is None:
                # A product may be renamed without a new price: its name is the document's.
                name = self.tables.products[current.product_id].name
                found[sku] = msgspec.structs.replace(current, name=name)
        return found


def _matches(query: ProductQuery, product: ProductRecord) -> bool:
    price = price_minor(product)
    skus = query.skus_in_stock
    return (
        (query.category is None or query.category in product.categories)
        and (query.min_price_minor is None or price >= query.min_price_minor)
        and (query.max_price_minor is None or price <= query.max_price_minor)
        and (skus is None or any(variant.sku in skus for variant in product.variants))
    )


def _is_behind(query: ProductQuery, product: ProductRecord, behind: tuple[str | int, str]) -> bool:
    place, start = (sort_key(query, product), product.id), behind
    # Both keys are of the kind that `query.sort` names, so they compare.
    return place < start if descending(query) else place > start
