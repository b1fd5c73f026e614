"""A Redis server for the tests: the one that `TEST_REDIS_URL` names, or a private one.

The private one is a `redis-server` or `valkey-server` of this machine or of `.servers/`, which `install.sh` fills. It
listens on a free loopback port, with a password, and brings every write to the disk before it answers, so that a test may
kill it. Where there is none, what needs one is skipped, and the summary says so.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from tests.servers.process import ServerProcess, free_port
from tests.servers.seen import tell

PASSWORD = "p@ss:w/rd"
START_TIMEOUT_S = 20
_ROOT = Path(__file__).parents[2]
MISSING = "no Redis: neither TEST_REDIS_URL nor redis-server or valkey-server (tests/servers/install.sh gets one)"


def binary() -> Path | None:
    """The server program, if this machine has one."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    installed = sorted((_ROOT / ".servers").glob("valkey/**/valkey-server"))
    return installed[0] if installed else None


@dataclass
class RedisProcess(ServerProcess):
    """A private server. `options` are added to its command line. `kill` and `start` keep its folder and port."""

    program: Path
    options: tuple[str, ...] = ()
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="stampede-test-redis-")))
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:p%40ss%3Aw%2Frd@127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        """A client of the test's own, for what a port cannot do. Close it."""
        return redis.Redis(port=self.port, password=PASSWORD, socket_timeout=10)

    def start(self) -> None:
        """Until it answers."""
        command = [
            str(self.program), "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder),
            "--requirepass", PASSWORD, "--appendonly", "yes", "--appendfsync", "always", "--save", "",
            "--daemonize", "no", "--logfile", str(self.folder / "server.log"), *self.options,
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_TIMEOUT_S
        with self.client() as client:
            while True:
                try:
                    client.ping()
                except redis.exceptions.ConnectionError:
                    if self.process.poll() is not None or time.monotonic() > deadline:
                        raise RuntimeError(f"no Redis: {(self.folder / 'server.log').read_text()}") from None
                    time.sleep(0.01)
                else:
                    return


@pytest.fixture(scope="session")
def redis_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """The URL of a running server, shared by the session's tests: each begins by emptying its database."""
    given = os.environ.get("TEST_REDIS_URL")
    if given:
        tell(pytestconfig, "redis", f"{version_of(given)} (real, TEST_REDIS_URL)")
        yield given
        return
    program = binary()
    if program is None:
        tell(pytestconfig, "redis", f"skipped: {MISSING}")
        pytest.skip(MISSING)
    server = RedisProcess(program)
    try:
        server.start()
        tell(pytestconfig, "redis", f"{version_of(server.url)} (real, {program})")
        yield server.url
    finally:
        server.close()


@pytest.fixture
def redis_process(pytestconfig: pytest.Config) -> Iterator[RedisProcess]:
    """A private server of one test, which may kill it."""
    program = binary()
    if program is None:
        tell(pytestconfig, "redis", f"skipped: {MISSING}")
        pytest.skip(MISSING)
    server = RedisProcess(program)
    try:
        server.start()
        yield server
    finally:
        server.close()


def version_of(url: str) -> str:
    """Such as Redis 7.0.15."""
    with redis.Redis.from_url(url) as client:
        info = client.info("server")
    return f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"


def empty_redis(url: str) -> None:
    """Delete every key of its database."""
    with redis.Redis.from_url(url) as client:
        client.flushdb()
