"""Migrations: by themselves, by several starters at once, and not below the code that a schema needs."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from persistence.errors import StoreUnavailable, WriteRefused
from persistence.postgres import migrations
from persistence.postgres.migrate import migrate
from persistence.settings import SCHEMAS, StoreSettings
from persistence.stores import open_stores
from tests.contract.builders import batch
from tests.servers.postgres import create_database, drop_database

pytestmark = pytest.mark.postgres


@pytest.fixture
async def empty_database(postgres_server: str) -> AsyncIterator[str]:
    url = await create_database(postgres_server)
    yield url
    await drop_database(postgres_server, url)


def settings_of(url: str, **urls: str) -> StoreSettings:
    return StoreSettings.of(url, connect_timeout_ms=20_000, **urls)


def newest(schema: str) -> str:
    """The revision that the schema's last file makes."""
    folder = Path(migrations.__file__).parent / schema
    return f"{schema}_{max(file.name[:4] for file in folder.glob('0*.py'))}"


async def run(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def test_two_starters_at_once_do_not_clash(empty_database: str) -> None:
    settings = settings_of(empty_database)
    first, second = await asyncio.gather(migrate(settings), migrate(settings))
    assert first == second
    assert [state.schema for state in first] == list(SCHEMAS)
    assert all(state.known and state.revision == newest(state.schema) for state in first)


async def test_a_schema_that_newer_code_made_is_left_as_it_is(empty_database: str) -> None:
    settings = settings_of(empty_database)
    await migrate(settings)
    await run(empty_database, "UPDATE orders.alembic_version SET version_num = 'orders_9999'")
    states = {state.schema: state for state in await migrate(settings)}
    assert not states["orders"].known
    await run(empty_database, "UPDATE orders.schema_version SET min_code_version = '99.0.0'")
    with pytest.raises(WriteRefused, match=r"orders needs Stampede 99\.0\.0"):
        await migrate(settings)


async def test_each_service_may_have_a_database_of_its_own(postgres_server: str, empty_database: str) -> None:
    own = await create_database(postgres_server)
    try:
        settings = settings_of(empty_database, orders_database_url=own)
        await migrate(settings)
        stores = await open_stores(settings)
        await stores.journals["orders"].fence(1, 1)
        assert await stores.journals["orders"].append([batch()]) == {(1, 1)}
        assert await stores.journals["inventory"].heads() == []
        await stores.close()
        await run(own, "SELECT * FROM orders.journal")
        with pytest.raises(asyncpg.UndefinedTableError):
            await run(own, "SELECT * FROM inventory.journal")
    finally:
        await drop_database(postgres_server, own)


async def test_a_database_that_is_not_there_is_told() -> None:
    with pytest.raises(StoreUnavailable, match="cluster"):
        await migrate(StoreSettings.of("postgresql://stampede@/none?host=/nonexistent"))


def test_settings_without_a_database_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(ValueError, match="database_url"):
        StoreSettings()


def test_settings_come_from_the_environment_and_hide_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:secret@h/d")
    monkeypatch.setenv("CARTS_DATABASE_URL", "postgresql://u:other@h/c")
    monkeypatch.setenv("STAMPEDE_STORES_LOCK_TIMEOUT_MS", "150")
    settings = StoreSettings()
    assert settings.url("orders") == "postgresql://u:secret@h/d"
    assert settings.url("carts") == "postgresql://u:other@h/c"
    assert settings.lock_timeout_ms == 150
    assert settings.statement_timeout_ms == 2_000
    assert "secret" not in repr(settings)
    assert "other" not in repr(settings)
