"""One scrape: this process, every other one that answers, and how many do not; series bounded by the code."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.parser import text_string_to_metric_families

from actors.host_metrics import register_host
from actors.runtime.host_runtime import HostRuntime
from actors.runtime.metrics import RuntimeMetrics
from cluster.host_reports import InProcessHosts, Report, Scrape, asked, pack_families, unpack_families
from serve.app import build_app
from serve.metrics import Metrics
from tests.http_app import FakeClock, FakeRefs, settings_for_tests
from tests.shop_world import Shop, open_shop

Samples = dict[str, list[tuple[dict[str, str], float]]]


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path) as opened:
        yield opened


class Hosts:
    """Two processes, one of which gave no answer."""

    async def describe(self) -> Sequence[Report]:
        return [Report(process="host-0", said={"entities": 3}), Report(process="host-1", said=None)]

    async def metrics(self) -> Sequence[Scrape]:
        registry = CollectorRegistry()
        Counter("stampede_events", "Events.", ("event",), registry=registry).labels("order.confirmed").inc(7)
        Gauge("stampede_http_requests_in_flight", "Of the same name as the replica's.", registry=registry).set(5)
        families = unpack_families(pack_families(registry))
        return [Scrape(process="host-0", families=families), Scrape(process="host-1", families=None)]


async def test_a_scrape_has_every_process_by_name_and_says_who_did_not_answer() -> None:
    found = _parsed((await Metrics().exposition(Hosts())).decode())
    assert found["stampede_scrape_up"] == [
        ({"process": "http"}, 1.0), ({"process": "host-0"}, 1.0), ({"process": "host-1"}, 0.0)
    ]  # fmt: skip
    assert found["stampede_events_total"] == [({"event": "order.confirmed", "process": "host-0"}, 7.0)]
    in_flight = {labels["process"]: value for labels, value in found["stampede_http_requests_in_flight"]}
    assert in_flight == {"http": 0.0, "host-0": 5.0}
    assert not [name for name in found if name.endswith("_created")]


async def test_however_many_ask_at_once_the_others_are_asked_once() -> None:
    class Slow(Hosts):
        asked = 0
        gate = asyncio.Event()

        async def metrics(self) -> Sequence[Scrape]:
            self.asked += 1
            await self.gate.wait()
            return await super().metrics()

    metrics, hosts = Metrics(), Slow()
    leaves, *stay = [asyncio.create_task(metrics.exposition(hosts)) for _ in range(50)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    leaves.cancel()
    hosts.gate.set()
    assert len(set(await asyncio.gather(*stay))) == 1
    assert hosts.asked == 1
    await metrics.exposition(hosts)
    assert hosts.asked == 2


async def test_the_route_serves_it(tmp_path: Path, shop: Shop) -> None:
    app = build_app(FakeRefs(), shop.stores, settings_for_tests(tmp_path), FakeClock(), hosts=Hosts())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert _sum(_parsed(answer.text), "stampede_scrape_up") == 2.0


async def test_signals_of_a_shop_at_work(shop: Shop) -> None:
    account = await shop.account()
    await shop.buy(account)
    await shop.place(
        account.id, account.headers, items=[{"sku": "LAPTOP-001", "quantity": 1}],
        paymentMethod={"type": "card", "token": "tok_declined"},
    )  # fmt: skip
    await shop.place(account.id, account.headers, items=[{"sku": "LAPTOP-001", "quantity": 99}])
    http = _parsed((await shop.client.get("/metrics")).text)
    assert _sum(http, "stampede_http_requests_total", route="/api/v1/orders", status="201") == 1
    assert _sum(http, "stampede_http_requests_total", route="/api/v1/orders", status="402") == 1
    assert _sum(http, "stampede_http_request_seconds_count", route="/api/v1/orders") == 3
    assert _sum(http, "stampede_http_requests_in_flight") == 1  # the scrape itself

    host = _scraped(shop.host.runtime)
    for outcome, times in (("ok", 1), ("payment-declined", 1), ("insufficient-stock", 1)):
        assert _sum(host, "stampede_commands_total", command="PlaceOrder", outcome=outcome) == times
    assert _sum(host, "stampede_events_total", event="order.confirmed") == 1
    assert _sum(host, "stampede_events_total", event="order.payment_failed") == 1
    assert _sum(host, "stampede_sagas_total", entity_type="order", outcome="done") == 2
    assert _sum(host, "stampede_commit_seconds_count", queue="orders") >= 4
    assert _sum(host, "stampede_mailbox_commands_count") > 0
    assert _sum(host, "stampede_entities") > 0
    assert _sum(host, "stampede_shards") == 4


async def test_whatever_paths_and_methods_clients_invent_the_series_stay_few(shop: Shop) -> None:
    for number in range(50):
        await shop.client.get(f"/api/v1/products/p-{number}")
        await shop.client.get(f"/nowhere/{number}")
        await shop.client.request(f"METHOD{number}", "/api/v1/products")
        await shop.stock(f"SKU-{number}")
    series = _parsed((await shop.client.get("/metrics")).text)["stampede_http_requests_total"]
    assert len(series) < 15
    assert {labels["method"] for labels, _ in series} <= {"GET", "POST", "other"}


async def test_a_client_that_leaves_is_no_longer_in_flight(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = asyncio.Event()

    async def hang(*_: object) -> None:
        reading.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("persistence.memory.catalog.MemoryCatalog.product", hang)
    request = asyncio.create_task(shop.client.get("/api/v1/products/any"))
    await reading.wait()
    metrics = _parsed((await shop.client.get("/metrics")).text)
    assert _sum(metrics, "stampede_http_requests_in_flight") == 2  # and the scrape itself
    request.cancel()
    await asyncio.wait([request])
    metrics = _parsed((await shop.client.get("/metrics")).text)
    assert _sum(metrics, "stampede_http_requests_in_flight") == 1


async def test_all_are_asked_at_once_and_none_longer_than_its_time() -> None:
    async def ask(process: str) -> Any:
        if process == "gone":
            raise ConnectionError(process)
        await asyncio.sleep(0 if process == "quick" else 60)
        return process

    began_s = time.monotonic()
    found = await asked([*(f"slow-{number}" for number in range(20)), "quick", "gone"], ask, timeout_ms=100)
    assert time.monotonic() - began_s < 2
    assert dict(found) == {**{f"slow-{number}": None for number in range(20)}, "quick": "quick", "gone": None}
    assert [name for name, _ in found] == sorted(name for name, _ in found)


async def test_hosts_of_this_process_describe_themselves() -> None:
    hosts = InProcessHosts({"b": (lambda: {"n": 2}, lambda: b"\x90"), "a": (lambda: {"n": 1}, lambda: b"\x90")})
    assert [(report.process, report.said) for report in await hosts.describe()] == [("a", {"n": 1}), ("b", {"n": 2})]
    assert [scrape.families for scrape in await hosts.metrics()] == [(), ()]


def test_depths_of_mailboxes_are_counted_by_powers_of_two() -> None:
    metrics = RuntimeMetrics()
    for depth in (0, 0, 1, 3, 4, 10_000_000):
        metrics.arrived(depth)
    (family,) = [found for found in metrics.collect() if found.name == "stampede_mailbox_commands"]
    buckets = {sample.labels["le"]: sample.value for sample in family.samples if sample.name.endswith("_bucket")}
    assert (buckets["0.0"], buckets["1.0"], buckets["3.0"], buckets["7.0"], buckets["+Inf"]) == (2, 3, 4, 5, 6)


def _scraped(runtime: object) -> Samples:
    assert isinstance(runtime, HostRuntime)
    registry = CollectorRegistry()
    register_host(registry, runtime)
    found: Samples = {}
    for family in unpack_families(pack_families(registry)):
        for name, labels, value in family.samples:
            found.setdefault(name, []).append((labels, value))
    return found


def _parsed(text: str) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    return found


def _sum(found: Samples, name: str, **labels: str) -> float:
    return sum(value for have, value in found.get(name, []) if labels.items() <= have.items())
