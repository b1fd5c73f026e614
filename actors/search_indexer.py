"""Keeps the search index as the catalog is: a consumer of its outbox, and the first build."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

import structlog

from persistence.errors import WriteRefused
from persistence.ports import Catalog, ProductSearch
from persistence.records import JournalService, NewEvent, OutboxService, ProductRecord

log = structlog.get_logger(__name__)

PRODUCT: Final = "product"
PAGE_PRODUCTS_MAX: Final = 500


class SearchIndexer:
    """Empties the catalog's outbox.

    An event only says *which* product has changed: what is indexed is the product as it is now, at its own version, so
    repeats, gaps and any order end the same. A product that the index refuses is logged and passed over.
    """

    def __init__(self, catalog: Catalog, search: ProductSearch) -> None:
        self._catalog = catalog
        self._search = search

    @property
    def name(self) -> str:
        """See `Consumer`."""
        return "search-indexer"

    @property
    def journals(self) -> Sequence[JournalService]:
        """See `Consumer`."""
        return ()

    @property
    def outboxes(self) -> Sequence[OutboxService]:
        """See `Consumer`."""
        return ("catalog",)

    async def handle(self, events: Sequence[NewEvent]) -> None:
        """Index every product that these are about as it is now; one that is not there any more was deleted."""
        versions: dict[str, int] = {}
        for event in events:
            if event.entity_type == PRODUCT:
                versions[event.entity_id] = max(event.version, versions.get(event.entity_id, 0))
        if not versions:
            return
        found = await self._catalog.products_by_id(list(versions))
        await self._index(list(found.values()))
        gone = {product_id: version for product_id, version in versions.items() if product_id not in found}
        if gone:
            await self._search.remove(gone)
        log.debug("search.indexed", products=len(found), removed=len(gone))

    async def _index(self, products: Sequence[ProductRecord]) -> None:
        if not products:
            return
        try:
            await self._search.index(products)
        except WriteRefused as refused:
            if len(products) == 1:
                log.warning("search.offender", product=products[0].id, error=repr(refused))
                return
            for product in products:
                await self._index([product])


LOOK_EVERY_S: Final = 10.0


class FirstBuild:
    """Beside the indexer: builds the index where it never was, and where it was lost, also under a running platform."""

    def __init__(self, catalog: Catalog, search: ProductSearch, *, look_every_s: float = LOOK_EVERY_S) -> None:
        self._catalog = catalog
        self._search = search
        self._look_every_s = look_every_s

    @property
    def name(self) -> str:
        """See `BackgroundTask`."""
        return "search-first-build"

    async def run(self) -> None:
        """Build if it must be, then look now and then. Raises what a store raises, and begins anew when run again."""
        while True:
            if not await self._search.is_built():
                count = await self._search.rebuild(pages_of(self._catalog))
                log.info("search.built", products=count)
            await asyncio.sleep(self._look_every_s)


async def pages_of(catalog: Catalog) -> AsyncIterator[Sequence[ProductRecord]]:
    """Every product, in pages."""
    behind = ""
    while page := await catalog.products_behind(behind, PAGE_PRODUCTS_MAX):
        yield page
        behind = page[-1].id
