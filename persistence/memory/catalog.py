"""The catalog in memory: product documents, categories and every price version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from persistence.errors import AlreadyExists, StaleVersion, WriteRefused
from persistence.memory.constraints import check_events, check_version
from persistence.memory.seams import Seams
from persistence.memory.tables import CatalogTables
from persistence.product_batches import accepted, refused_claims
from persistence.product_lists import (
    cursor_position,
    descending,
    price_minor,
    product_cursor,
    replaces_price,
    sort_key,
)
from persistence.records import (
    CatalogSku,
    CategoryRecord,
    NewEvent,
    PriceRecord,
    ProductQuery,
    ProductRecord,
    ProductWrite,
)


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
        write = ProductWrite(product=product, expected_version=expected_version, events=tuple(events))
        for refused in (await self.seams.call("catalog.save_product", lambda: self._save_products([write]))).values():
            raise refused

    async def save_products(self, writes: Sequence[ProductWrite]) -> Mapping[str, WriteRefused]:
        """Write many; product id → why it was refused."""
        return await self.seams.call("catalog.save_products", lambda: self._save_products(writes))

    async def products_by_id(self, product_ids: Sequence[str]) -> Mapping[str, ProductRecord]:
        """Those of these products that are there."""
        held = self.tables.products
        return await self.seams.call(
            "catalog.products_by_id", lambda: {found: held[found] for found in product_ids if found in held}
        )

    async def products_behind(self, product_id: str, limit: int) -> list[ProductRecord]:
        """Whole products by id."""

        def behind() -> list[ProductRecord]:
            ids = sorted(held for held in self.tables.products if held > product_id)
            return [self.tables.products[held] for held in ids[:limit]]

        return await self.seams.call("catalog.products_behind", behind)

    async def delete_product(self, product_id: str, expected_version: int, events: Sequence[NewEvent]) -> None:
        """Leave a tombstone; its SKUs can no longer be bought."""
        await self.seams.call(
            "catalog.delete_product", lambda: self._delete_product(product_id, expected_version, events)
        )

    async def categories(self) -> list[CategoryRecord]:
        """All categories by name, with product counts."""
        return await self.seams.call("catalog.categories", self._categories)

    async def category(self, category_id: str) -> CategoryRecord | None:
        """One category with its product count."""

        def found() -> CategoryRecord | None:
            return next((row for row in self._categories() if row.id == category_id), None)

        return await self.seams.call("catalog.category", found)

    async def category_ids(self) -> frozenset[str]:
        """The ids of all categories."""
        return await self.seams.call("catalog.category_ids", lambda: frozenset(self.tables.categories))

    async def save_category(self, category: CategoryRecord, expected_version: int) -> None:
        """Write at `expected_version` (0 = create)."""
        await self.seams.call("catalog.save_category", lambda: self._save_category(category, expected_version))

    async def delete_category(self, category_id: str, expected_version: int) -> None:
        """Remove a category; products keep existing without it."""
        await self.seams.call("catalog.delete_category", lambda: self._delete_category(category_id, expected_version))

    async def prices(self, skus: Sequence[str]) -> Mapping[str, PriceRecord]:
        """The newest price version of each SKU that can be bought."""
        return await self.seams.call("catalog.prices", lambda: self._prices(skus))

    async def skus(self, *, text: str, behind: str, limit: int) -> list[CatalogSku]:
        """A page of the SKUs on sale, by code point."""
        return await self.seams.call("catalog.skus", lambda: self._skus(text, behind, limit))

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

    def _save_products(self, writes: Sequence[ProductWrite]) -> Mapping[str, WriteRefused]:
        refused = refused_claims(writes)
        left = accepted(writes, refused)
        while newly_refused := self._refused(left):
            refused |= newly_refused
            left = accepted(left, newly_refused)
        # What one lets go may be another's: first let go, then take.
        for write in left:
            self._retire(self._let_go(write.product), write.product.updated_at_ms)
        for write in left:
            self._put(write)
        return refused

    def _let_go(self, product: ProductRecord) -> set[str]:
        held = self.tables.products.get(product.id)
        before = () if held is None else held.variants
        return {variant.sku for variant in before} - {variant.sku for variant in product.variants}

    def _refused(self, writes: Sequence[ProductWrite]) -> dict[str, WriteRefused]:
        free = {sku for write in writes for sku in self._let_go(write.product)}
        refused: dict[str, WriteRefused] = {}
        for write in writes:
            try:
                self._check(write, free)
            except WriteRefused as error:
                refused[write.product.id] = error
        return refused

    def _check(self, write: ProductWrite, free: set[str]) -> None:
        product, held = write.product, self.tables.products.get(write.product.id)
        if write.expected_version == 0 and (held is not None or product.id in self.tables.tombstones):
            raise AlreadyExists(f"product {product.id} exists")
        if write.expected_version != 0 and (held is None or held.version != write.expected_version):
            raise StaleVersion(f"product {product.id} is not at version {write.expected_version}")
        for variant in product.variants:
            if self.tables.skus.get(variant.sku, product.id) != product.id and variant.sku not in free:
                raise AlreadyExists(f"a SKU of {product.id} belongs to another product")
            if variant.price_minor < 0 or variant.price_version <= 0:
                raise WriteRefused(f"product {product.id} has an impossible price")
            replaces_price(self._newest_price(variant.sku), product, variant)
        check_version(product.version)
        check_events(write.events)

    def _put(self, write: ProductWrite) -> None:
        product = write.product
        for variant in product.variants:
            if replaces_price(self._newest_price(variant.sku), product, variant):
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
            self.tables.skus[variant.sku] = product.id
        self.tables.products[product.id] = product
        for event in write.events:
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

    def _skus(self, text: str, behind: str, limit: int) -> list[CatalogSku]:
        on_sale = (
            CatalogSku(sku=sku, product_id=product_id, name=self.tables.products[product_id].name)
            for sku, product_id in sorted(self.tables.skus.items())
            if sku > behind
        )
        found = (row for row in on_sale if row.sku.startswith(text) or text.lower() in row.name.lower())
        return list(islice(found, limit))

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
