"""The database of a platform: the embedded one, or the one that DATABASE_URL names."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from persistence.embedded import EmbeddedPostgres, EmbeddedPostgresError
from serve.platform.errors import UserError
from serve.platform.folder import DataFolder

URL_VARIABLE = "DATABASE_URL"
_CONNECT_TIMEOUT_S = 5


def is_external() -> bool:
    """Whether the user brings a database of their own."""
    return bool(os.environ.get(URL_VARIABLE))


def embedded(folder: DataFolder) -> EmbeddedPostgres:
    """The embedded server of this platform, not started."""
    return EmbeddedPostgres(
        folder.postgres_dir,
        password_file=folder.password_file,
        log_file=folder.logs_dir / "postgres.log",
    )


def check_external() -> None:
    """Raises `UserError` unless the database that DATABASE_URL names answers. The URL is not shown: it has a password."""

    async def connect() -> None:
        connection = await asyncpg.connect(os.environ[URL_VARIABLE], timeout=_CONNECT_TIMEOUT_S)
        await connection.close()

    try:
        asyncio.run(connect())
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        reason = error if isinstance(error, asyncpg.PostgresError | OSError) and str(error) else type(error).__name__
        raise UserError(f"the database that DATABASE_URL names cannot be used: {reason}") from error


@contextmanager
def reachable(folder: DataFolder) -> Iterator[None]:
    """Inside, DATABASE_URL names the platform's database, which is started for it when the platform does not run."""
    if is_external():
        yield
        return
    folder.require()
    server = embedded(folder)
    try:
        if not folder.is_held():
            with folder.held(f"another command works in {folder.path}; try again"), server:
                yield from _named(server)
        else:
            yield from _named(server)
    except EmbeddedPostgresError as error:
        raise UserError(str(error)) from error


def _named(server: EmbeddedPostgres) -> Iterator[None]:
    os.environ[URL_VARIABLE] = server.url
    try:
        yield
    finally:
        del os.environ[URL_VARIABLE]
