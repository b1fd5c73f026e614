"""A real platform (Ray, HAProxy, PostgreSQL) started by the command line in a folder of its own, for tests."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from serve.node_plan import NodePlan
from serve.platform import database, state
from serve.platform.folder import DataFolder
from serve.ray_node import MARK_VARIABLE

ROOT = Path(__file__).parents[1]
UP_TIMEOUT_S = 240
COMMAND_TIMEOUT_S = 120


class LivePlatform:
    """Starts, finds, hurts and stops one platform. Its processes are found by mark, folder and descent, never by name."""

    def __init__(self) -> None:
        # Not pytest's folder: as root the database runs as another user, who may not pass through that one.
        self.home = Path(tempfile.mkdtemp(prefix="stampede-live-"))
        self.home.chmod(0o755)
        self.folder = DataFolder(self.home / "data")
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.hosts_wanted = 0
        self._ever_seen: set[psutil.Process] = set()

    # --- the command line --------------------------------------------------------------------------

    def command(
        self, *arguments: str, timeout_s: float = COMMAND_TIMEOUT_S, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one command. It returns at the end of *both* streams: what stays must not hold them."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("STAMPEDE_", "DATABASE_"))}
        return subprocess.run(
            [sys.executable, "-m", "serve.cli", *arguments, "--data-dir", str(self.folder.path)], cwd=ROOT,
            env=clean | {"COLUMNS": "200"} | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout_s, check=False,
        )  # fmt: skip

    def up(self, *, hosts: int = 1) -> None:
        """Start it, detached, with so many shard hosts."""
        done = self.command(
            "up", "--detach", "--port", str(self.port),
            timeout_s=UP_TIMEOUT_S, STAMPEDE_CLUSTER_HOSTS_PER_NODE=str(hosts),
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{self._log_tail()}"
        self.hosts_wanted = hosts
        self.processes()

    def have_hosts(self, hosts: int) -> None:
        """Started with so many hosts: as it runs, or by the roughest of restarts."""
        if self.hosts_wanted != hosts:
            self.kill_everything()
            self.up(hosts=hosts)

    def audit(self) -> None:
        """Every invariant of money and stock holds, over all that was ever done on this platform."""
        done = self.command("audit")
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    def end(self) -> None:
        """Stop it, delete its folder, and see that no process is left."""
        self.processes()
        done = self.command("down")
        left = [process.pid for process in {*self._ever_seen, *self.processes()} if _lives(process)]
        plan = NodePlan.load(self.folder.run_dir)
        if plan is not None:
            plan.discard()
        shutil.rmtree(self.home, ignore_errors=True)
        assert done.returncode == 0, done.stderr
        assert left == []

    # --- its processes -----------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The process that `up --detach` left."""
        found = state.running(self.folder)
        assert found is not None, "the platform does not run"
        return found.pid

    def processes(self) -> list[psutil.Process]:
        """Everything of this platform that lives now."""
        found = {process for process in psutil.process_iter() if self._is_ours(process)}
        self._ever_seen |= found
        return sorted(found, key=lambda process: process.pid)

    def shard_hosts(self) -> list[psutil.Process]:
        """The shard hosts' processes, the oldest first."""
        return self._titled("ray::ShardHostActor")

    def replica(self) -> psutil.Process:
        """The HTTP replica's process."""
        return self._titled("ray::ServeReplica")[0]

    def supervisors(self) -> list[psutil.Process]:
        """The process that keeps the hosts; nothing while it is being replaced."""
        return self._titled("ray::Supervisor")

    def consumers(self) -> list[psutil.Process]:
        """The processes that follow the events, the oldest first; one of them, but while it is being replaced."""
        return self._titled("ray::SingletonActor")

    def ingress(self) -> psutil.Process:
        """HAProxy's process."""
        return next(
            process for process in psutil.Process(self.pid).children(recursive=True) if process.name() == "haproxy"
        )

    def postmaster(self) -> psutil.Process:
        """The database's first process."""
        return psutil.Process(int((self.folder.postgres_dir / "pgdata" / "postmaster.pid").read_text().split()[0]))

    def kill_everything(self) -> None:
        """kill -9 of all of it at once, the parent first so that nobody mends anything."""
        found = self.processes()
        for process in sorted(found, key=lambda process: process.pid != self.pid):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        _gone, left = psutil.wait_procs(found, timeout=10)
        assert left == []
        self.hosts_wanted = 0

    def log_of(self, process_id: int) -> str:
        """What a Ray worker with this pid has logged."""
        plan = NodePlan.load(self.folder.run_dir)
        assert plan is not None
        logs = Path(plan.temp_dir).glob(f"session_latest/logs/worker-*-{process_id}.*")
        return "".join(log.read_text() for log in sorted(logs))

    def _titled(self, title: str) -> list[psutil.Process]:
        found = []
        for process in psutil.Process(self.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if process.cmdline()[:1] and process.cmdline()[0].startswith(title):
                    found.append(process)
        return sorted(found, key=lambda process: process.create_time())

    def _is_ours(self, process: psutil.Process) -> bool:
        if process.pid == os.getpid():
            return False
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            if process.environ().get(MARK_VARIABLE) == str(self.folder.run_dir):
                return True
            plan = NodePlan.load(self.folder.run_dir)
            ours = [str(self.folder.path), *([plan.temp_dir] if plan is not None else [])]
            named = [process.cwd(), *process.cmdline()]
            if process.cmdline()[:1] and process.cmdline()[0].startswith("ray::"):  # its title lies over the rest
                named += [file.path for file in process.open_files()]
            return any(path in name for path in ours for name in named)
        return False

    # --- its database ------------------------------------------------------------------------------

    @asynccontextmanager
    async def database(self) -> AsyncIterator["asyncpg.Connection[Any]"]:
        """A connection to look with."""
        connection = await asyncpg.connect(database.embedded(self.folder).url, timeout=5)
        try:
            yield connection
        finally:
            await connection.close(timeout=5)

    def _log_tail(self) -> str:
        return "\n".join(self.folder.log_file.read_text().splitlines()[-40:]) if self.folder.log_file.exists() else ""


def live_platform() -> Iterator[LivePlatform]:
    """For a fixture: started, and stopped at the end whatever happened."""
    platform = LivePlatform()
    try:
        platform.up()
        yield platform
    finally:
        platform.end()


def send(process: psutil.Process, number: signal.Signals) -> float:
    """Send a signal; returns when (monotonic, s)."""
    os.kill(process.pid, number)
    return time.monotonic()


async def until(holds: Callable[[], Awaitable[bool]], within_s: float, what: str) -> float:
    """Wait until it holds; returns after how long (s)."""
    began_s = time.monotonic()
    while True:
        if await holds():
            return time.monotonic() - began_s
        assert time.monotonic() - began_s < within_s, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.05)


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
