"""The edge of a whole platform, looked at from outside: what listens, what is cut off, what its numbers and logs tell."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from serve.node_plan import NodePlan
from tests.live_platform import LivePlatform, until
from tests.live_shop import LiveShop

pytestmark = [pytest.mark.ray, pytest.mark.postgres]

CANARY = "c4n4ry-Pa55word"
LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
Samples = dict[str, list[tuple[dict[str, str], float]]]


def test_no_process_listens_beyond_loopback(platform: LivePlatform) -> None:
    listening: dict[str, set[str]] = {}
    for process in platform.processes():
        try:
            connections = process.net_connections(kind="inet")
        except psutil.NoSuchProcess:
            continue  # Ray's processes come and go
        for connection in connections:
            if connection.status in {psutil.CONN_LISTEN, psutil.CONN_NONE} and not connection.raddr:
                listening.setdefault(f"{process.pid} {process.name()}", set()).add(connection.laddr.ip)
    assert any("haproxy" in name for name in listening)
    assert any("ray::ServeReplica" in name for name in listening)
    assert {name: beyond for name, found in listening.items() if (beyond := found - LOOPBACK)} == {}


async def test_the_consumers_are_among_these_processes(platform: LivePlatform) -> None:
    async def there() -> bool:
        return any("ray::Singleton" in " ".join(process.cmdline()) for process in platform.processes())

    await until(there, 30, "the consumers run")


def test_a_body_that_dawdles_is_cut_off_wherever_it_stops(platform: LivePlatform) -> None:
    def say(sent: bytes) -> tuple[float, bytes]:
        began_s = time.monotonic()
        with socket.create_connection(("127.0.0.1", platform.port), timeout=30) as connection:
            connection.sendall(
                b"POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" + sent
            )
            answer = b""
            while not answer.endswith(b"}"):  # head and body may come apart
                chunk = connection.recv(65_536)
                if not chunk:
                    break
                answer += chunk
        return time.monotonic() - began_s, answer

    beginnings = (
        b"Content-Length: 9\r\n\r\n{",
        b"Content-Length: 100000\r\n\r\n" + b" " * 40_000,  # HAProxy passes on what is longer than its buffer
        b"Transfer-Encoding: chunked\r\n\r\n8000\r\n" + b" " * 0x8000 + b"\r\n5\r\nab",
    )
    with ThreadPoolExecutor(len(beginnings)) as pool:
        answers = list(pool.map(say, beginnings))
    for took_s, answer in answers:
        assert answer.startswith(b"HTTP/1.1 408 "), answer
        assert b"application/problem+json" in answer
        assert b'"code":"request-timeout"' in answer
        assert 8 < took_s < 20


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_413(platform: LivePlatform, chunked: bool) -> None:
    body = b" " * 1_048_577
    answer = httpx.post(
        f"{platform.url}/api/v1/auth/login",
        content=iter([body]) if chunked else body,
        headers={"Content-Type": "application/json"},
        trust_env=False,
    )
    assert answer.status_code == 413
    assert answer.json()["code"] == "body-too-large"


@pytest.mark.parametrize("given", ["req-1", "a" * 128])
def test_a_sane_request_id_comes_back_once(platform: LivePlatform, given: str) -> None:
    answer = httpx.get(f"{platform.url}/api/v1/products", headers={"X-Request-Id": given}, trust_env=False)
    assert answer.headers.get_list("x-request-id") == [given]


@pytest.mark.parametrize("given", ["", "a" * 129, "a b", "<script>"])
def test_another_request_id_is_replaced(platform: LivePlatform, given: str) -> None:
    answer = httpx.get(f"{platform.url}/api/v1/products", headers={"X-Request-Id": given}, trust_env=False)
    (made,) = answer.headers.get_list("x-request-id")
    assert len(made) == 32
    assert made != given


async def test_a_request_is_the_cause_of_its_events(shop: LiveShop, platform: LivePlatform) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    sku = await shop.new_sku(1)
    answer = await shop.order({sku: 1}, headers={"traceparent": trace, "X-Request-Id": "req-edge"})
    assert answer.status_code == 201, answer.text
    async with platform.database() as database:
        rows = await database.fetch(
            "SELECT traceparent, correlation_id FROM orders.journal WHERE entity_id = $1", answer.json()["id"]
        )
    assert {tuple(row) for row in rows} == {(trace, "req-edge")}


async def test_one_scrape_tells_of_every_process(shop: LiveShop, platform: LivePlatform) -> None:
    sku = await shop.new_sku(2)
    assert (await shop.order({sku: 1})).status_code == 201
    assert (await shop.order({sku: 1}, token="tok_declined")).status_code == 402

    async def all_up() -> bool:
        # Another test may have left more than one host, and shards on their way between them.
        found = _scrape(platform)
        up = _up(found)
        whole = {"http", "consumers"} < set(up) and len(up) == 2 + len(platform.shard_hosts())
        return whole and set(up.values()) == {1.0} and _value(found, "stampede_shards") == 256

    await until(all_up, 30, "every process answers a scrape")
    found = _scrape(platform)
    hosts = set(_up(found)) - {"http", "consumers"}
    assert _value(found, "stampede_http_requests_total", process="http", route="/api/v1/orders", status="402") >= 1
    assert _value(found, "stampede_http_requests_in_flight", process="http") >= 1
    assert _sum(found, hosts, "stampede_commands_total", command="PlaceOrder", outcome="ok") >= 1
    assert _sum(found, hosts, "stampede_commands_total", command="PlaceOrder", outcome="payment-declined") >= 1
    assert _sum(found, hosts, "stampede_events_total", event="order.confirmed") >= 1
    assert _sum(found, hosts, "stampede_commit_events_count", queue="orders") >= 1
    for host in hosts:
        assert _value(found, "stampede_cluster_renewals_total", process=host, outcome="ok") >= 1
        assert _value(found, "process_resident_memory_bytes", process=host) > 10_000_000
    assert "stampede_consumer_lag_events" in found
    paths = {labels["route"] for labels, _ in found["stampede_http_requests_total"]}
    assert not [path for path in paths if sku in path or "guest_" in path]


def test_a_host_that_hangs_is_named_and_holds_up_the_scrape_for_a_second(platform: LivePlatform) -> None:
    host = platform.shard_hosts()[-1]
    host.suspend()
    try:
        began_s = time.monotonic()
        found = _scrape(platform)
        took_s = time.monotonic() - began_s
    finally:
        host.resume()
    up = _up(found)
    assert up["http"] == up["consumers"] == 1.0
    assert list(up.values()).count(0.0) == 1
    assert took_s < 3


async def test_logs_are_json_name_their_process_and_keep_secrets(shop: LiveShop, platform: LivePlatform) -> None:
    for body in ({"email": f"{CANARY}@example.com", "password": CANARY}, {"email": "a", "password": [CANARY]}):
        await shop.client.post("/auth/login", json=body, headers={"Authorization": f"Bearer {CANARY}"})
    await shop.client.get(f"/cart/{CANARY}", headers={"Cookie": CANARY, "X-Api-Key": CANARY})
    shown = platform.command("logs", "-n", "2000")
    assert shown.returncode == 0
    assert CANARY not in shown.stdout
    lines = [line.partition(" | ")[2] for line in shown.stdout.splitlines()]
    entries = [json.loads(line) for line in lines if line.startswith('{"at":')]
    assert {"up", "supervisor", "consumers"} < {entry["process"] for entry in entries}
    assert any(entry["event"] == "membership.joined" for entry in entries)
    plan = NodePlan.load(platform.folder.run_dir)
    assert plan is not None
    folders = (platform.folder.logs_dir, Path(plan.temp_dir) / "session_latest" / "logs")
    for file in [file for folder in folders for file in folder.rglob("*") if file.is_file()]:
        assert CANARY.encode() not in file.read_bytes(), file


def _scrape(platform: LivePlatform) -> Samples:
    text = httpx.get(f"{platform.url}/metrics", timeout=5, trust_env=False).raise_for_status().text
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def _value(found: Samples, name: str, **labels: Any) -> float:
    return sum(value for have, value in found.get(name, []) if labels.items() <= have.items())


def _sum(found: Samples, processes: set[str], name: str, **labels: Any) -> float:
    return sum(_value(found, name, process=process, **labels) for process in processes)


def _up(found: Samples) -> dict[str, float]:
    """Which processes a scrape asked, and whether they answered."""
    return {labels["process"]: value for labels, value in found["stampede_scrape_up"]}
