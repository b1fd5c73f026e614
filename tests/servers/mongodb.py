"""A MongoDB for the tests: the one that `TEST_MONGO_URL` names, or a private one.

The private one is a `mongod` of this machine, or else the wire-compatible SecantusDB, a process of its own that `install.sh`
gets into `.servers/`. It listens on a free loopback port and brings every write to the disk before it answers, so that a
test may kill it. Where there is none, what needs one is skipped, and the summary says so.
"""

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pymongo
import pytest
from pymongo.errors import PyMongoError

from persistence.mongo.schema import prepare
from persistence.settings import StoreSettings
from tests.servers.process import ServerProcess, free_port
from tests.servers.seen import tell

START_TIMEOUT_S = 30
_ROOT = Path(__file__).parents[2]
MISSING = "no MongoDB: neither TEST_MONGO_URL nor mongod nor secantusd (tests/servers/install.sh gets one)"
_COLLECTIONS = ("products", "prices", "categories", "consumers", "counters")


def binary() -> Path | None:
    """The server program, if this machine has one."""
    if found := shutil.which("mongod"):
        return Path(found)
    for name in ("secantusd-rs", "secantusd-py"):
        if found := shutil.which(name):
            return Path(found)
        installed = _ROOT / ".servers" / "mongodb" / "bin" / name
        if installed.exists():
            return installed
    return None


@dataclass
class MongoProcess(ServerProcess):
    """A private server. `kill` and `start` keep its folder and port.

    `alone`: without a replica set, where no driver repeats a write and there are no transactions (a `mongod` always is).
    `login`: it asks who comes.
    """

    program: Path
    alone: bool = False
    login: bool = False
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="stampede-test-mongo-")))
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/catalog?directConnection=true"

    @property
    def is_real(self) -> bool:
        return self.program.name == "mongod"

    def start(self) -> None:
        """Until it answers."""
        where = ["--port", str(self.port)]
        if self.is_real:
            command = [str(self.program), "--bind_ip", "127.0.0.1", *where, "--dbpath", str(self.folder)]
        else:
            command = [
                str(self.program), "--host", "127.0.0.1", *where,
                "--storage-path", str(self.folder / "data"), "--sync-on-commit",
                *(["--standalone"] if self.alone else []),
            ]  # fmt: skip
        command += ["--auth"] if self.login else []
        log = self.folder / "server.log"
        with log.open("ab") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                version_of(self.url, timeout_ms=1_000)
            except PyMongoError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"no MongoDB: {log.read_text()}") from None
            else:
                return


def _private(config: pytest.Config, *, alone: bool = False) -> MongoProcess:
    program = binary()
    if program is None:
        tell(config, "mongodb", f"skipped: {MISSING}")
        pytest.skip(MISSING)
    server = MongoProcess(program, alone=alone)
    server.start()
    kind = "real" if server.is_real else "SecantusDB, wire-compatible, not the real one"
    tell(config, "mongodb", f"answers as {version_of(server.url)} ({kind}, {program})")
    return server


@pytest.fixture(scope="session")
def mongo_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """The URL of a database of this session's own. The session's tests share it: each begins by emptying it."""
    given = os.environ.get("TEST_MONGO_URL")
    if given:
        tell(pytestconfig, "mongodb", f"answers as {version_of(given)} (TEST_MONGO_URL)")
        name = f"stampede_test_{uuid.uuid4().hex[:12]}"
        parts = urlsplit(given)
        yield urlunsplit(parts._replace(path=f"/{name}"))
        with pymongo.MongoClient[dict[str, object]](given) as client:
            client.drop_database(name)
        return
    server = _private(pytestconfig)
    try:
        yield server.url
    finally:
        server.close()


@pytest.fixture
def mongo_process(pytestconfig: pytest.Config) -> Iterator[MongoProcess]:
    """A private server of one test, which may kill it."""
    server = _private(pytestconfig, alone=True)
    try:
        yield server
    finally:
        server.close()


def version_of(url: str, timeout_ms: int = 20_000) -> str:
    """Such as MongoDB 7.0.5."""
    with pymongo.MongoClient[dict[str, object]](url, serverSelectionTimeoutMS=timeout_ms) as client:
        return f"MongoDB {client.server_info()['version']}"


async def empty_mongo(settings: StoreSettings) -> None:
    """Delete every document of the database that these settings name, and prepare it."""
    assert settings.mongo_url is not None
    url = settings.mongo_url.get_secret_value()
    with pymongo.MongoClient[dict[str, object]](url) as client:
        for name in _COLLECTIONS:
            client.get_default_database()[name].delete_many({})
    await prepare(url)
