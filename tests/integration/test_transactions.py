"""Transactions whose server says nothing any more: whoever waits can be stopped, and is not kept waiting for ever."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from persistence.embedded import EmbeddedPostgres
from persistence.errors import OutcomeUnknown
from persistence.postgres import database as database_module
from persistence.postgres.database import Database
from persistence.settings import StoreSettings

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(60)]

SOON_S = 8.0
ENDLESS = "SELECT pg_sleep(30)"


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """One for all: none of these harms what others see of it."""
    # Not pytest's own folder: the database's user could not reach it when we are root.
    folder = Path(tempfile.mkdtemp(prefix="stampede-test-", dir="/tmp"))
    folder.chmod(0o755)
    with EmbeddedPostgres(folder / "postgres") as running:
        yield running
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def database(server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    monkeypatch.setattr(database_module, "TRANSACTION_ANSWER_TIMEOUT_S", 0.5)
    opened = Database(server.url, StoreSettings.of(server.url, statement_timeout_ms=60_000, answer_timeout_ms=500))
    await opened.open()
    yield opened
    await opened.close()


class Work:
    """A transaction that asks for something endless."""

    def __init__(self, database: Database) -> None:
        self.backend = 0
        self.asked = asyncio.Event()
        self.task = asyncio.create_task(self._run(database))

    async def _run(self, database: Database) -> None:
        async with database.transaction() as connection:
            self.backend = await connection.fetchval("SELECT pg_backend_pid()")
            self.asked.set()
            await connection.execute(ENDLESS, timeout=60)


async def test_it_can_be_cancelled_although_its_server_is_frozen(database: Database) -> None:
    work = Work(database)
    await work.asked.wait()
    os.kill(work.backend, signal.SIGSTOP)
    try:
        work.task.cancel()
        await asyncio.wait([work.task], timeout=SOON_S)
        assert work.task.cancelled()
        assert len(await database.read("SELECT 1")) == 1
    finally:
        os.kill(work.backend, signal.SIGCONT)


async def test_a_statement_without_an_answer_ends(database: Database) -> None:
    with pytest.raises(OutcomeUnknown):
        async with asyncio.timeout(SOON_S), database.transaction() as connection:
            await connection.execute(ENDLESS)
    assert len(await database.read("SELECT 1")) == 1


async def test_what_was_cancelled_leaves_nothing_behind(database: Database) -> None:
    await database.write("CREATE TABLE things (id int)")
    inside = asyncio.Event()

    async def write() -> None:
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO things VALUES (1)")
            inside.set()
            await asyncio.Event().wait()

    writing = asyncio.create_task(write())
    await inside.wait()
    writing.cancel()
    await asyncio.wait([writing], timeout=SOON_S)
    assert writing.cancelled()
    assert await database.read("SELECT id FROM things") == []
    await database.write("DROP TABLE things")


async def test_a_cancellation_is_not_hidden_by_a_connection_that_broke(database: Database) -> None:
    work = Work(database)
    await work.asked.wait()
    os.kill(work.backend, signal.SIGSTOP)
    work.task.cancel()
    await asyncio.sleep(0.1)  # it waits for its rollback now
    os.kill(work.backend, signal.SIGKILL)  # the server starts anew: the last test of it
    await asyncio.wait([work.task], timeout=SOON_S)
    assert work.task.cancelled()
