"""`reindex` against a real database: what it prints, and its exit code."""

import asyncio
import io
from collections.abc import AsyncIterator, Sequence

import pytest
from rich.console import Console

from actors.search_indexer import pages_of
from persistence.ports import Catalog
from persistence.postgres.database import Database
from persistence.records import ProductRecord, SearchQuery
from persistence.settings import StoreSettings
from persistence.stores import Stores, open_memory_stores, open_stores
from serve import reindex
from serve.reindex import EXIT_DONE, EXIT_OVERTAKEN, EXIT_UNREAD
from tests.contract.builders import product
from tests.servers.postgres import empty_tables, postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]


@pytest.fixture
def settings(postgres_url: str) -> StoreSettings:
    asyncio.run(empty_tables(postgres_url))
    return StoreSettings.of(postgres_url, connect_timeout_ms=20_000)


def console(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100)


def printed(on: Console) -> str:
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


async def fill(stores: Stores) -> None:
    for n in range(3):
        await stores.catalog.save_product(product(f"p{n}", name=f"Zebra {n}"), 0, [])
    await stores.search.index([product("ghost", name="Zebra ghost")])


@pytest.mark.postgres
def test_the_index_is_made_anew_from_the_catalog(settings: StoreSettings) -> None:
    async def before() -> None:
        stores = await open_stores(settings)
        await fill(stores)
        await stores.close()

    async def after() -> list[str]:
        stores = await open_stores(settings)
        page = await stores.search.search(SearchQuery(text="zebra"))
        await stores.close()
        return [hit.id for hit in page.products]

    asyncio.run(before())
    out = console()
    assert reindex.run(settings, out, running=True) == EXIT_DONE
    assert printed(out) == "indexed 3 products\n"
    assert asyncio.run(after()) == ["p0", "p1", "p2"]


@pytest.mark.postgres
def test_without_a_platform_it_says_so_and_does_it(settings: StoreSettings) -> None:
    out = console()
    assert reindex.run(settings, out, running=False) == EXIT_DONE
    assert printed(out).splitlines() == [
        "The platform does not run: the index is rebuilt in its database.",
        "indexed 0 products",
    ]


async def test_a_terminal_shows_how_far_it_is() -> None:
    stores = open_memory_stores(lambda: 0)
    await fill(stores)
    out = console(terminal=True)
    assert await reindex.reindex(stores, out) == 3
    assert "3/3" in printed(out)


@pytest.mark.postgres
def test_another_rebuild_goes_before(
    settings: StoreSettings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def overtaken(catalog: Catalog) -> AsyncIterator[Sequence[ProductRecord]]:
        other = await open_stores(settings)
        await other.search.rebuild(pages_of(catalog))
        await other.close()
        yield [product()]

    monkeypatch.setattr(reindex, "pages_of", overtaken)
    assert reindex.run(settings, console(), running=True) == EXIT_OVERTAKEN
    assert "another rebuild" in capsys.readouterr().err


def test_a_database_that_is_away_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = StoreSettings.of("postgresql://nobody@127.0.0.1:1/none")
    assert reindex.run(nowhere, console(), running=True) == EXIT_UNREAD
    said = capsys.readouterr().err
    assert "as it was" in said
    assert len(said.splitlines()) == 1


@pytest.mark.postgres
def test_a_database_without_the_index_is_one_line(settings: StoreSettings, capsys: pytest.CaptureFixture[str]) -> None:
    async def rename(old: str, new: str) -> None:
        database = Database(settings.url("catalog"), settings)
        await database.open()
        await database.write(f"ALTER TABLE catalog.{old} RENAME TO {new}")
        await database.close()

    asyncio.run(rename("search_state", "away"))
    try:
        assert reindex.run(settings, console(), running=True) == EXIT_UNREAD
    finally:
        asyncio.run(rename("away", "search_state"))
    assert len(capsys.readouterr().err.splitlines()) == 1
