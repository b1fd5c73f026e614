"""`reindex`: the search index made anew from the catalog, with a progress bar."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from actors.search_indexer import pages_of
from persistence.errors import StaleVersion, StoreError
from persistence.records import ProductQuery, ProductRecord
from persistence.settings import StoreSettings
from persistence.stores import Stores, open_stores

EXIT_DONE: Final = 0
EXIT_OVERTAKEN: Final = 1
EXIT_UNREAD: Final = 2


def run(settings: StoreSettings, console: Console, *, running: bool) -> int:
    """Rebuild and say how many products there are; 0: done, 1: another rebuild went before, 2: a store failed.

    Searches see the old index until the new one is whole, and changes meanwhile are in it. `running` says whether the
    platform runs; without it the index is rebuilt all the same.
    """
    if not running:
        console.print("The platform does not run: the index is rebuilt in its database.", soft_wrap=True)
    # The patience of a reader of whole tables: nobody waits for its statements.
    patient = settings.model_copy(
        update={"statement_timeout_ms": 60_000, "answer_timeout_ms": 65_000, "connect_timeout_ms": 5_000}
    )
    try:
        count = asyncio.run(_opened(patient, console))
    except StaleVersion:
        print("stampede: another rebuild of the index has begun; nothing was changed", file=sys.stderr)  # noqa: T201
        return EXIT_OVERTAKEN
    except (StoreError, OSError) as error:
        print(f"stampede: the index was not rebuilt, and is as it was: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_UNREAD
    console.print(f"indexed {count:,} products", highlight=False)
    return EXIT_DONE


async def _opened(settings: StoreSettings, console: Console) -> int:
    stores = await open_stores(settings)
    try:
        return await reindex(stores, console)
    finally:
        await stores.close()


async def reindex(stores: Stores, console: Console) -> int:
    """Rebuild the index of these stores; the number of products in it. Raises `StaleVersion`, `StoreError`."""
    _, _, total = await stores.catalog.products(ProductQuery(limit=1))
    bar = Progress(
        TextColumn("indexing"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=total)

        async def watched() -> AsyncIterator[Sequence[ProductRecord]]:
            async for page in pages_of(stores.catalog):
                yield page
                bar.advance(task, len(page))  # asked for the next: this one is in

        return await stores.search.rebuild(watched())
