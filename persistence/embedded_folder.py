"""The folder of an embedded PostgreSQL: what lies where, who may use it, and which processes work in it."""

import fcntl
import hashlib
import os
import signal
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

from persistence.embedded_install import DatabaseUser, EmbeddedPostgresError, blocked_folder

_SOCKET_PATH_MAX_BYTES = 103 if sys.platform == "darwin" else 107
_QUIT_TIMEOUT_S = 5.0
_POLL_S = 0.02


class ServerFolder:
    """`pgdata/` and `socket/` belong to the database's user, everything else to us. Used by one process at a time."""

    def __init__(self, path: Path, user: DatabaseUser, port: int) -> None:
        self.path = path.absolute()
        self.pgdata = self.path / "pgdata"
        self.socket_dir = _socket_dir(self.path, port)
        self._user = user
        self._lock: IO[str] | None = None

    def open(self) -> None:
        """Make the folder, take its lock, end whatever an earlier owner left running in it.

        Raises `EmbeddedPostgresError`: not a folder, not writable, not reachable by the user, in use.
        """
        if self.path.exists() and not self.path.is_dir():
            raise EmbeddedPostgresError(f"{self.path} is not a folder")
        self.path.mkdir(mode=0o711, parents=True, exist_ok=True)
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise EmbeddedPostgresError(f"the folder {self.path} is not writable")
        if self._user.uid >= 0:
            self.path.chmod(0o711)  # this one folder is ours; those above it are not
        blocked = blocked_folder(self._user, self.path)
        if blocked is not None:
            raise EmbeddedPostgresError(
                f"the database cannot run in {self.path}: as root it runs as the user {self._user.name},"
                f" who may not enter {blocked}; choose another data folder or open that one (chmod o+x)"
            )
        self._take_lock()
        stop_leftovers(self.pgdata)

    def close(self) -> None:
        """Let go of the lock."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def check(self, server_version: str) -> None:
        """Raises `EmbeddedPostgresError` unless `pgdata` is this version's and this user's."""
        version_file = self.pgdata / "PG_VERSION"
        if not version_file.is_file():
            raise EmbeddedPostgresError(f"{self.pgdata} is not a database's data folder")
        made_by, runs = version_file.read_text().strip(), server_version.split(".", maxsplit=1)[0]
        if made_by != runs:
            raise EmbeddedPostgresError(f"{self.pgdata} was made by PostgreSQL {made_by}, and this is {runs}")
        owner = self.pgdata.stat().st_uid
        if owner != self._user.owner_uid:
            raise EmbeddedPostgresError(
                f"{self.pgdata} belongs to the user with uid {owner}, the database would run as {self._user.name}"
            )

    def open_socket_dir(self) -> None:
        """Make the socket's folder. Raises `EmbeddedPostgresError` if somebody else made it first."""
        with suppress(FileExistsError):
            self.socket_dir.mkdir(mode=0o700)
            if self._user.uid >= 0:
                os.chown(self.socket_dir, self._user.uid, self._user.gid)
        found = self.socket_dir.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != self._user.owner_uid:
            raise EmbeddedPostgresError(f"{self.socket_dir}, where the socket should be, belongs to somebody else")

    def status(self, pid: int) -> str | None:
        """What the server with this pid says of itself in its pid file: "starting", "ready", "stopping"."""
        try:
            lines = (self.pgdata / "postmaster.pid").read_text().splitlines()
        except OSError:
            return None
        return lines[7].strip() if len(lines) > 7 and lines[0].strip() == str(pid) else None

    def _take_lock(self) -> None:
        lock = (self.path / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
            lock.close()
            raise EmbeddedPostgresError(f"the database in {self.path} is in use by process {holder}") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock


def stop_leftovers(pgdata: Path) -> list[int]:
    """End every server process that works in `pgdata`, whoever started it; returns their pids.

    For a folder whose lock is ours: what still runs there lost its supervisor or its postmaster. It is recognised
    by its working folder, never by its name alone. Nothing to do costs nothing: a clean stop removes the pid file.
    """
    if not (pgdata / "postmaster.pid").exists():
        return []
    found = [process for process in psutil.process_iter() if _works_in(process, pgdata)]
    for number in (signal.SIGQUIT, signal.SIGKILL):
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        deadline = time.monotonic() + _QUIT_TIMEOUT_S
        while any(_lives(process) for process in found) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
    return [process.pid for process in found]


def _works_in(process: psutil.Process, pgdata: Path) -> bool:
    try:
        return Path(process.exe()).name.startswith("postgres") and Path(process.cwd()) == pgdata.resolve()
    except (psutil.Error, OSError):
        return False


def _lives(process: psutil.Process) -> bool:
    """A zombie does not: it holds no memory, and when it is reaped is not up to us."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _socket_dir(folder: Path, port: int) -> Path:
    """A folder short enough for a socket's path: beside the data, or under /tmp with a name made of the data's."""
    beside = folder / "socket"
    if len(os.fsencode(beside / f".s.PGSQL.{port}")) <= _SOCKET_PATH_MAX_BYTES:
        return beside
    digest = hashlib.blake2b(os.fsencode(folder.resolve()), digest_size=8).hexdigest()
    return Path("/tmp") / f"stampede-pg-{os.geteuid()}-{digest}"  # noqa: S108 -- its owner is checked before use
