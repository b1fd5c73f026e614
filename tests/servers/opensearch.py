"""An OpenSearch server for the tests: the one that `TEST_OPENSEARCH_URL` names, or a private one.

The private one is the node that `install.sh` puts into `.servers/`, on a free loopback port, with its data in a temporary
folder; a test may kill it. Where there is none, or no Java, what needs one is skipped, and the summary says so.
"""

import contextlib
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.servers.process import ServerProcess, free_port
from tests.servers.seen import tell

START_TIMEOUT_S = 90
_ROOT = Path(__file__).parents[2]
_HEAP = "512m"
MISSING = (
    "no OpenSearch: neither TEST_OPENSEARCH_URL nor .servers/opensearch-… with Java (tests/servers/install.sh gets one)"
)
_NUMBERS = itertools.count(1)


def home() -> Path | None:
    """The node's folder, if this machine has one and can run it."""
    installed = sorted((_ROOT / ".servers").glob("opensearch-*"))
    return installed[-1] if installed and shutil.which("java") else None


@dataclass
class OpenSearchProcess(ServerProcess):
    """A private node. `kill` and `start` keep its folder and port. As root it runs as nobody, for it refuses root."""

    home: Path
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="stampede-test-opensearch-")))
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Until it answers."""
        for name in ("conf", "data", "logs", "tmp"):
            (self.folder / name).mkdir(exist_ok=True)
        shutil.copy(self.home / "config" / "log4j2.properties", self.folder / "conf")
        (self.folder / "conf" / "opensearch.yml").touch()
        nobody = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        if nobody is not None:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        with (self.folder / "out.log").open("ab") as output:
            self.process = subprocess.Popen(
                self._command(),
                cwd=self.folder,
                env={"PATH": os.environ["PATH"]},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                user=nobody.pw_uid if nobody else None,
                group=nobody.pw_gid if nobody else None,
                extra_groups=[] if nobody else None,
            )
        self._wait()

    def _wait(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        health = f"{self.url}/_cluster/health?wait_for_status=yellow&timeout=5s"
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(health, timeout=10, trust_env=False).json()["timed_out"] is False:
                    return
            time.sleep(0.1)
        said = (self.folder / "out.log").read_text()[-2_000:]
        self.close()
        raise RuntimeError(f"no OpenSearch: {said}")

    def _command(self) -> list[str]:
        java = {
            "java.io.tmpdir": self.folder / "tmp",
            "java.awt.headless": "true",
            "file.encoding": "UTF-8",
            "jna.nosys": "true",
            "java.security.manager": "allow",
            "io.netty.noUnsafe": "true",
            "log4j2.disable.jmx": "true",
            "log4j.shutdownHookEnabled": "false",
            "opensearch.path.home": self.home,
            "opensearch.path.conf": self.folder / "conf",
            "opensearch.distribution.type": "zip",
            "opensearch.bundled_jdk": "false",
        }
        node = {
            "discovery.type": "single-node",
            "network.host": "127.0.0.1",
            "http.port": self.port,
            "transport.port": 0,
            "node.name": "test",
            "path.data": self.folder / "data",
            "path.logs": self.folder / "logs",
            # The disk of a test machine may be nearly full.
            "cluster.routing.allocation.disk.threshold_enabled": "false",
        }
        return [
            "java", f"-Xms{_HEAP}", f"-Xmx{_HEAP}", "-Xss1m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            *(f"-D{name}={value}" for name, value in java.items()),
            "-cp", f"{self.home}/lib/*", "org.opensearch.bootstrap.OpenSearch",
            *(f"-E{name}={value}" for name, value in node.items()),
        ]  # fmt: skip


@pytest.fixture(scope="session")
def opensearch_server(pytestconfig: pytest.Config) -> Iterator[str]:
    """The URL of a running server, shared by the session's tests: each has its own prefix."""
    given = os.environ.get("TEST_OPENSEARCH_URL")
    if given:
        tell(pytestconfig, "opensearch", f"{version_of(given)} (real, TEST_OPENSEARCH_URL)")
        yield given
        return
    found = home()
    if found is None:
        tell(pytestconfig, "opensearch", f"skipped: {MISSING}")
        pytest.skip(MISSING)
    server = OpenSearchProcess(found)
    try:
        server.start()
        tell(pytestconfig, "opensearch", f"{version_of(server.url)} (real, {found})")
        yield server.url
    finally:
        server.close()


@pytest.fixture
def opensearch_url(opensearch_server: str) -> Iterator[str]:
    """A URL with a prefix that no other test has. Its indexes go with the test."""
    prefix = f"test{os.getpid()}-{next(_NUMBERS)}"
    yield f"{opensearch_server}?prefix={prefix}"
    remove_indexes(opensearch_server, prefix)
    templates = f"{opensearch_server}/_index_template/{prefix}-*"
    httpx.delete(templates, timeout=60, trust_env=False)


@pytest.fixture
def opensearch_process(pytestconfig: pytest.Config) -> Iterator[OpenSearchProcess]:
    """A private server of one test, which may kill it."""
    found = home()
    if found is None:
        tell(pytestconfig, "opensearch", f"skipped: {MISSING}")
        pytest.skip(MISSING)
    server = OpenSearchProcess(found)
    try:
        server.start()
        yield server
    finally:
        server.close()


def ask(method: str, url: str, body: object = None) -> None:
    """What an operator does by hand."""
    httpx.request(method, url, json=body, timeout=60, trust_env=False).raise_for_status()


def indexes(url: str, prefix: str) -> list[str]:
    """The names of the indexes that begin so."""
    told = httpx.get(f"{url}/{prefix}-*/_alias", timeout=60, trust_env=False)
    told.raise_for_status()
    return sorted(told.json())


def remove_indexes(url: str, prefix: str) -> None:
    """What an operator's mistake, or a lost disk, does."""
    for name in indexes(url, prefix):
        ask("DELETE", f"{url}/{name}")


def prefix_of(url: str) -> str:
    """The prefix that a URL of these tests has."""
    return urlsplit(url).query.removeprefix("prefix=")


def version_of(url: str) -> str:
    """Such as OpenSearch 2.19.5."""
    told = httpx.get(url, timeout=60, trust_env=False).json()["version"]
    return f"OpenSearch {told['number']}"
