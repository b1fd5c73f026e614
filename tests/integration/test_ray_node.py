"""The Ray node of one platform: what it binds, what its ingress corrects, how it heals, and that it leaves nothing."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import httpx
import psutil
import pytest

from serve.node_plan import NodePlan, PortInUse
from serve.ray_node import prepare_node, sweep

pytestmark = [pytest.mark.ray, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).with_name("ray_node_driver.py")


class Node:
    """A node run by its own driver process, in a process group of its own as a shell would give it."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.run_dir = data_dir / "run"
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        data_dir.mkdir(parents=True, exist_ok=True)
        self._log = (data_dir / "driver.log").open("w")
        self.driver = subprocess.Popen(
            [sys.executable, str(DRIVER), str(data_dir), str(self.port)],
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )

    def wait_until_ready(self) -> dict[str, object]:
        """What the driver says when it serves."""
        line = self._stdout.readline()
        assert line, (self.data_dir / "driver.log").read_text()
        ready: dict[str, object] = json.loads(line)
        return ready

    def processes(self) -> list[psutil.Process]:
        """Everything below the driver now."""
        return psutil.Process(self.driver.pid).children(recursive=True)

    def haproxy(self) -> psutil.Process:
        return next(process for process in self.processes() if process.name() == "haproxy")

    def stop(self) -> list[int]:
        """Ctrl-C in the foreground, which every process of the group gets; what the driver had to kill."""
        os.killpg(self.driver.pid, signal.SIGINT)
        lines = self._stdout.read().splitlines()
        self.driver.wait()
        killed: list[int] = json.loads(lines[-1])["killed"]
        return killed

    def end(self) -> None:
        """After the test, whatever became of it."""
        if self.driver.poll() is None:
            self.driver.kill()
        self.driver.wait()
        self._stdout.close()
        self._log.close()
        sweep(self.run_dir)
        plan = NodePlan.load(self.run_dir)
        if plan is not None:
            plan.discard()

    @property
    def _stdout(self) -> IO[bytes]:
        assert self.driver.stdout is not None
        return self.driver.stdout


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = Node(tmp_path_factory.mktemp("node"))
    try:
        assert node.wait_until_ready() == {"host": {"name": "host-1", "started": True, "loop": "uvloop"}}
        yield node
    finally:
        node.end()


@pytest.fixture
def another_node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path / "a data folder with a long name and blanks, far beyond what a Unix socket's path may have")
    try:
        yield node
    finally:
        node.end()


def test_answers_in_the_loop_that_opened_the_application(node: Node) -> None:
    assert httpx.get(f"{node.url}/noop").json() == {"same_loop": True}


def test_a_replica_reaches_a_shard_host_by_its_name(node: Node) -> None:
    assert httpx.post(f"{node.url}/exchange", content=b"envelopes").json() == {"answer": "sepolevne"}


def test_nothing_listens_beyond_loopback(node: Node) -> None:
    ports = {
        (process.name(), connection.laddr.ip, connection.laddr.port)
        for process in node.processes()
        for connection in process.net_connections(kind="inet")
        if connection.status in {psutil.CONN_LISTEN, psutil.CONN_NONE}
    }
    assert {name for name, _ip, port in ports if port == node.port} == {"haproxy"}
    assert [found for found in ports if found[1] not in {"127.0.0.1", "::ffff:127.0.0.1"}] == []


def test_the_ingress_believes_no_header_about_the_client_or_the_time(node: Node) -> None:
    lies = {
        "X-Forwarded-For": "6.6.6.6",
        "Forwarded": "for=6.6.6.6",
        "X-Real-IP": "6.6.6.6",
        "X-Request-Timeout-Seconds": "0.000001",
        "X-Request-Disconnect-Disabled": "?0",
    }
    seen = httpx.get(f"{node.url}/headers", headers=lies).raise_for_status().json()
    assert "6.6.6.6" not in json.dumps(seen)
    assert seen["x-forwarded-for"] == "127.0.0.1"
    assert "x-request-timeout-seconds" not in seen
    assert seen["x-request-disconnect-disabled"] == "?1"


def test_a_stream_arrives_as_it_is_written_and_ends_with_its_client(node: Node) -> None:
    with httpx.stream("GET", f"{node.url}/stream") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "data: 0"
        _await_running(node, "streams", 1)
    _await_running(node, "streams", 0)


def test_a_client_that_dawdles_is_cut_off(node: Node) -> None:
    beginnings = (
        b"GET /noop HTTP/1.1\r\nHost: a",
        b"POST /exchange HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab",
    )
    connections = [socket.create_connection(("127.0.0.1", node.port), timeout=20) for _ in beginnings]
    for connection, beginning in zip(connections, beginnings, strict=True):
        connection.sendall(beginning)
    answers = []
    for connection in connections:
        with connection:
            answers.append(connection.recv(65_536))
    assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in answers)
    # Before the headers are complete HAProxy knows only its built-in page.
    assert b"application/problem+json" in answers[1]


def test_haproxy_killed_is_replaced(node: Node) -> None:
    node.haproxy().kill()
    _await_answer(f"{node.url}/noop", status=200, within_s=15)


def test_a_replica_killed_is_replaced_and_meanwhile_clients_are_told_to_repeat(node: Node) -> None:
    os.kill(httpx.get(f"{node.url}/pid").json(), signal.SIGKILL)
    *refusals, _ = _await_answer(f"{node.url}/noop", status=200, within_s=30)
    assert {answer.status_code for answer in refusals} <= {502, 503}
    assert all(answer.headers["retry-after"] == "1" for answer in refusals)
    assert all(answer.headers["content-type"] == "application/problem+json" for answer in refusals)


def test_a_port_in_use_is_refused(node: Node, tmp_path: Path) -> None:
    with pytest.raises(PortInUse, match=str(node.port)):
        prepare_node(tmp_path, "127.0.0.1", node.port)


def test_two_nodes_side_by_side_and_one_stops_cleanly(node: Node, another_node: Node) -> None:
    early = _await_answer(f"{another_node.url}/noop", within_s=60)[0]
    another_node.wait_until_ready()
    assert early.status_code == 503
    assert early.headers["retry-after"] == "1"
    assert early.json()["code"] == "unavailable"
    assert httpx.get(f"{another_node.url}/noop").status_code == 200

    processes = another_node.processes()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(httpx.get, f"{another_node.url}/slow")
        _await_running(another_node, "slow", 1)
        killed = another_node.stop()
    assert slow.result().json() == {"answer": "late"}
    assert killed == []
    assert _alive(processes) == []
    assert httpx.get(f"{node.url}/noop").status_code == 200


def test_after_kill_9_of_the_driver_a_sweep_leaves_nothing_and_the_neighbour_alone(
    node: Node, another_node: Node
) -> None:
    another_node.wait_until_ready()
    processes = another_node.processes()
    another_node.driver.kill()
    another_node.driver.wait()
    swept = sweep(another_node.run_dir)
    assert swept
    assert set(swept) <= {process.pid for process in processes}
    assert _alive(processes) == []
    assert sweep(another_node.run_dir) == []
    assert httpx.get(f"{node.url}/noop").status_code == 200


def _attempt(url: str) -> httpx.Response | None:
    """The answer, or None when nobody listens or the connection broke."""
    try:
        return httpx.get(url, timeout=5)
    except httpx.TransportError:
        return None


def _await_answer(url: str, *, status: int | None = None, within_s: float) -> list[httpx.Response]:
    """Ask until an answer (with this status) comes; all answers on the way."""
    answers: list[httpx.Response] = []
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        answer = _attempt(url)
        if answer is not None:
            answers.append(answer)
            if status in {None, answer.status_code}:
                return answers
        time.sleep(0.05)
    pytest.fail(
        f"no answer {status or ''} from {url} within {within_s} s: {[answer.status_code for answer in answers]}"
    )


def _await_running(node: Node, what: str, number: int) -> None:
    deadline = time.monotonic() + 5
    while httpx.get(f"{node.url}/running").json()[what] != number:
        assert time.monotonic() < deadline, f"not {number} {what} within 5 s"
        time.sleep(0.05)


def _alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
