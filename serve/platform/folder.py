"""A platform's data folder: what lies where, who holds it."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serve.platform.errors import UserError

_MARK = "stampede.json"
_LAYOUT = '{"layout": 1}\n'


class DataFolder:
    """Everything one platform keeps on this machine, below one folder.

    stampede.json   says that the folder is ours          logs/      platform.log, postgres.log
    lock            held while the platform runs          secrets/   generated keys and passwords (mode 600)
    postgres/       the embedded database                 run/       what only a running platform has
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self.run_dir = self.path / "run"
        self.logs_dir = self.path / "logs"
        self.node_logs_dir = self.logs_dir / "node"
        self.secrets_dir = self.path / "secrets"
        self.postgres_dir = self.path / "postgres"
        self.password_file = self.secrets_dir / "database-password"
        self.log_file = self.logs_dir / "platform.log"
        self.state_file = self.run_dir / "platform.json"

    def exists(self) -> bool:
        """Whether a platform was ever started here."""
        return (self.path / _MARK).is_file()

    def require(self) -> None:
        """Raises `UserError` unless a platform was ever started here."""
        if not self.exists():
            raise UserError(f"there is no platform in {self.path}; start one with: ./stampede up")

    def make(self) -> None:
        """Make what is missing. Raises `UserError` for a folder that is not ours or cannot be written."""
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"the data folder {self.path} is not a folder but a file")
        try:
            self.path.mkdir(mode=0o755, parents=True, exist_ok=True)
            if not self.exists() and any(self.path.iterdir()):
                raise UserError(f"the folder {self.path} is not empty and not a data folder of Stampede")
            for folder in (self.run_dir, self.logs_dir, self.secrets_dir):
                folder.mkdir(mode=0o700, exist_ok=True)
            if os.geteuid() == 0:
                # As root the database runs as another user, who must pass through this folder to his own.
                self.path.chmod(self.path.stat().st_mode | 0o011)
            if not self.exists():
                (self.path / _MARK).write_text(_LAYOUT)
            with self.log_file.open("ab"):
                pass
        except OSError as error:
            where = error.filename or self.path
            raise UserError(f"the data folder {self.path} cannot be used: {where}: {error.strerror}") from error

    @contextmanager
    def held(self, busy_message: str) -> Iterator[None]:
        """Hold the folder; the system lets go of it however we end. Raises `UserError(busy_message)` if it is held."""
        with (self.path / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(busy_message) from None
            yield

    def is_held(self) -> bool:
        """Whether a platform runs (or starts, or stops) in this folder."""
        try:
            with self.held(""):
                return False
        except UserError:
            return True

    def remove(self) -> None:
        """Delete the folder with all its data; only one that is ours, and only while nothing runs."""
        self.require()
        with self.held(f"a platform runs in {self.path}; stop it first: ./stampede down"):
            shutil.rmtree(self.path)
