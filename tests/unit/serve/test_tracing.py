"""Traces: one order is one trace, from the request to the consumer; and none of it costs or tells what it must not."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from actors.consumer_settings import ConsumerSettings
from actors.feeds import Feeds
from cluster import tracing
from persistence.records import NewEvent
from tests.otlp_collector import Collector, otlp_collector
from tests.shop_world import CARD, Shop, eventually, open_shop

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with otlp_collector() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.endpoint)
        monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "2000")
        assert tracing.start_tracing("test")
        try:
            yield found
        finally:
            tracing.stop_tracing()


async def buy(shop: Shop, **headers: str) -> str:
    account = await shop.account()
    answer = await shop.place(
        account.id,
        {**account.headers, **headers},
        items=[{"sku": "LAPTOP-001", "quantity": 1}],
        paymentMethod=CARD,
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


class Listener:
    """A consumer that remembers which events it got."""

    name = "listener"
    journals = ("orders",)
    outboxes = ()

    def __init__(self) -> None:
        self.events: list[NewEvent] = []

    async def handle(self, events: Sequence[NewEvent]) -> None:
        self.events += events


async def stands() -> bool:
    return True


async def consumed(shop: Shop, wanted: str) -> list[NewEvent]:
    """Follow the orders' journal until this event has come."""
    listener = Listener()
    feeds = Feeds(shop.stores, [listener], [], ConsumerSettings(), stands)
    running = asyncio.create_task(feeds.run())

    async def came() -> bool:
        return any(event.type == wanted for event in listener.events) and feeds.describe()[0]["handled"] > 0

    await eventually(came)
    running.cancel()
    await asyncio.wait([running])
    return listener.events


async def test_an_order_is_one_trace_from_the_request_to_the_consumer(tmp_path: Path, collector: Collector) -> None:
    async with open_shop(tmp_path) as shop:
        order_id = await buy(shop, traceparent=TRACEPARENT, **{"X-Request-Id": "req-7"})
        await eventually(lambda: _sold(shop))
        events = await consumed(shop, "order.confirmed")
        await asyncio.to_thread(tracing.stop_tracing)

    names = collector.names(TRACE)
    assert {
        "POST /api/v1/orders",
        "ask order PlaceOrder",
        "order PlaceOrder",
        "saga price",
        "saga reserve",
        "sku ReserveStock",
        "commit inventory",
        "saga CreateOrder",
        "commit orders",
        "saga charge",
        "saga SettlePayment + RecordCapture",
        "payment RecordCapture",
        "commit payments",
        "listener order.created",
        "listener order.confirmed",
    } <= set(names)
    _assert_one_tree(collector)
    request = collector.named("POST /api/v1/orders")
    assert request.parent == "00f067aa0ba902b7"
    assert "201" in request.attributes["http.response.status_code"]
    assert "req-7" in request.attributes["stampede.request_id"]
    assert collector.named("ask order PlaceOrder").parent == request.id
    assert order_id in collector.named("order PlaceOrder").attributes["stampede.entity_id"]
    assert {event.correlation_id for event in events} == {"req-7"}
    assert {event.traceparent[3:35] for event in events} == {TRACE}


async def test_spans_hold_no_address_token_body_or_cart(tmp_path: Path, collector: Collector) -> None:
    async with open_shop(tmp_path) as shop:
        await buy(shop)
        guest = "guest_0123456789abcdefghijklmnopqrstuv"
        assert (await shop.add(guest)).status_code == 201
        await asyncio.to_thread(tracing.stop_tracing)

    told = b"".join(collector.bodies)
    assert b"PlaceOrder" in told
    for canary in (b"ada@example.com", b"tok_ok", b"Springfield", b"Bearer", b"correct horse", guest.encode()):
        assert canary not in told


async def test_what_machines_ask_begins_no_trace(tmp_path: Path, collector: Collector) -> None:
    async with open_shop(tmp_path) as shop:
        for path in ("/ready", "/health", "/metrics"):
            await shop.client.get(path)
        await asyncio.to_thread(tracing.stop_tracing)
    assert not [span for span in collector.spans if span.name.startswith("GET")]


async def test_a_client_that_wants_no_trace_gets_none(tmp_path: Path, collector: Collector) -> None:
    async with open_shop(tmp_path) as shop:
        await buy(shop, traceparent=TRACEPARENT[:-1] + "0")
        await asyncio.to_thread(tracing.stop_tracing)
    assert collector.names(TRACE) == []


@pytest.mark.parametrize("given", ["", "00-zz-1-01", f"ff-{TRACE}-00f067aa0ba902b7-01", "00-" + "0" * 32 + "-1-01"])
async def test_a_malformed_traceparent_begins_a_trace_of_its_own(
    tmp_path: Path, collector: Collector, given: str
) -> None:
    async with open_shop(tmp_path) as shop:
        await shop.client.get("/api/v1/products", headers={"traceparent": given})
        await asyncio.to_thread(tracing.stop_tracing)
    assert collector.named("GET /api/v1/products").parent == ""


async def test_without_an_endpoint_a_trace_is_passed_on_and_nothing_is_sent(tmp_path: Path) -> None:
    assert not tracing.start_tracing("test")
    async with open_shop(tmp_path) as shop:
        await buy(shop, traceparent=TRACEPARENT, **{"X-Request-Id": "req-8"})
        events = await consumed(shop, "order.confirmed")
    assert {event.traceparent for event in events} == {TRACEPARENT}
    assert {event.correlation_id for event in events} == {"req-8"}


@pytest.mark.timeout(30)  # the collector would be waited for for ever
async def test_a_collector_that_hangs_holds_up_nobody_and_what_is_dropped_is_counted(
    tmp_path: Path, collector: Collector
) -> None:
    collector.held.clear()
    for _ in range(3_000):
        tracing.span("full", begins=True).end()
    counts = tracing.span_counts()
    assert counts is not None
    assert (counts.queued, counts.dropped) == (2_000, 1_000)
    async with open_shop(tmp_path) as shop:
        assert (await shop.client.get("/api/v1/products")).status_code == 200
        metrics = (await shop.client.get("/metrics")).text
    assert 'stampede_trace_spans_total{outcome="dropped",process="http"}' in metrics
    assert counts.dropped > 1_000
    await asyncio.to_thread(tracing.stop_tracing, 300)
    collector.held.set()

    async def ended() -> bool:
        return counts.waiting == 0

    await eventually(ended)


def test_a_failed_span_tells_the_type_of_the_error_and_not_its_message(collector: Collector) -> None:
    with pytest.raises(ValueError, match="card 4242"), tracing.span("work", begins=True):
        raise ValueError("card 4242")
    tracing.stop_tracing()
    failed = collector.named("work")
    assert failed.failed
    assert "ValueError" in failed.attributes["error.type"]
    assert b"4242" not in b"".join(collector.bodies)


async def _sold(shop: Shop) -> bool:
    return (await shop.stock())["onHand"] == 9


def _assert_one_tree(collector: Collector) -> None:
    """Every span of the trace hangs on another, up to the client's."""
    spans = [span for span in collector.spans if span.trace == TRACE]
    known = {span.id for span in spans} | {"00f067aa0ba902b7"}
    assert [span.name for span in spans if span.parent not in known] == []
