"""Brings every schema to this code's revision. Two starters at once do not clash: one waits, then finds it done."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from persistence.errors import StoreUnavailable, WriteRefused
from persistence.postgres.faults import DRIVER_ERRORS
from persistence.settings import CODE_VERSION, SCHEMAS, Schema, StoreSettings

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x5374616D70656465
"""The advisory lock all starters take, in each database."""
_LOCK_TIMEOUT_MS = 60_000
_CONNECT_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class SchemaState:
    """Where a schema stands: its revision, and whether this code knows it."""

    schema: Schema
    revision: str | None
    known: bool


async def migrate(settings: StoreSettings) -> list[SchemaState]:
    """Upgrade every schema, each in one transaction.

    A schema that newer code has upgraded is left as it is, unless it says that this code is too old for it:
    then `WriteRefused`. Raises `StoreUnavailable` if a database is not reached or refuses.
    """
    states = []
    for schema in SCHEMAS:
        url = settings.url(schema)
        engine = _engine(url)
        try:
            async with engine.begin() as connection:
                states.append(await connection.run_sync(_upgrade, schema))
        except (SQLAlchemyError, CommandError, *DRIVER_ERRORS) as error:
            raise StoreUnavailable(f"schema {schema} was not migrated: {error}") from error
        finally:
            await engine.dispose()
    return states


def _engine(url: str) -> AsyncEngine:
    async def connect() -> "asyncpg.Connection[asyncpg.Record]":
        # Not through SQLAlchemy's URL, which reads some of PostgreSQL's differently (sockets, several hosts).
        return await asyncio.wait_for(
            asyncpg.connect(url, server_settings={"lock_timeout": str(_LOCK_TIMEOUT_MS), "statement_timeout": "0"}),
            _CONNECT_TIMEOUT_S,
        )

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)


def _upgrade(connection: Connection, schema: Schema) -> SchemaState:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
    config = Config(attributes={"connection": connection, "schema": schema})
    config.set_main_option("script_location", _escaped(_MIGRATIONS))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", _escaped(_MIGRATIONS / schema))
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    options = {"version_table": "alembic_version", "version_table_schema": schema}
    revision = MigrationContext.configure(connection, opts=options).get_current_revision()
    if revision is not None:
        _refuse_old_code(connection, schema)
    if revision is not None and revision not in known:
        return SchemaState(schema, revision, known=False)
    command.upgrade(config, "head")
    return SchemaState(schema, MigrationContext.configure(connection, opts=options).get_current_revision(), known=True)


def _refuse_old_code(connection: Connection, schema: Schema) -> None:
    least = connection.execute(text(f"SELECT min_code_version FROM {schema}.schema_version")).scalar_one()  # noqa: S608
    if _parts(CODE_VERSION) < _parts(least):
        raise WriteRefused(f"schema {schema} needs Stampede {least} or newer; this is {CODE_VERSION}")


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")
