"""The bridge between a real PostgreSQL and a real Kafka, with kill -9 of both ends of it."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from actors.audit.published import check_published
from actors.events.cloud_events import read
from actors.events.facts import ENTITIES
from actors.kafka_bridge import NAME
from persistence.embedded import EmbeddedPostgres
from persistence.errors import StoreError
from persistence.kafka.broker import KafkaBroker
from persistence.postgres.migrate import migrate
from persistence.records import JOURNAL_SERVICES, JournalService
from persistence.settings import StoreSettings
from persistence.stores import Stores, open_stores
from serve.event_commands import replay_journal
from tests.contract.builders import batch, cart_write, event
from tests.servers.kafka import KafkaProcess, kafka_process

__all__ = ["kafka_process"]

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
SHARDS = 16
ORDERS_A_SHARD = 8
A_WRITE = 40
_ENTITY: dict[JournalService, str] = {"orders": "order", "inventory": "sku", "payments": "payment"}


class Written:
    """What the journals have, by topic and subject: the number of events, whose versions are 1 to that."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self.counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._seqs: dict[tuple[JournalService, int], int] = {}

    @property
    def total(self) -> int:
        return sum(sum(counts.values()) for counts in self.counts.values())

    async def journals(self, events: int) -> None:
        """So many more events, over all journals, shards and entities."""
        goal = self.total + events
        while self.total < goal:
            for service in JOURNAL_SERVICES:
                await asyncio.gather(*(self._append(service, shard) for shard in range(SHARDS)))

    async def carts(self, version: int) -> None:
        """An event of each of some carts."""
        for cart in range(20):
            name = f"usr_{cart}"
            new = event(name, version, entity_type="cart")
            await self._stores.carts.save([cart_write(name, version - 1, events=[new])])
            self.counts["cart-events"][f"cart:{name}"] += 1

    async def _append(self, service: JournalService, shard: int) -> None:
        journal, entity = self._stores.journals[service], _ENTITY[service]
        seq = self._seqs.get((service, shard), 0)
        if seq == 0:
            await journal.fence(shard, 1)
        counts, new = self.counts[ENTITIES[entity].topic], []
        for n in range(A_WRITE):
            name = f"e{shard}-{(seq + n) % ORDERS_A_SHARD}"
            counts[f"{entity}:{name}"] += 1
            new.append(event(name, counts[f"{entity}:{name}"], entity_type=entity, body=b'{"n":1}'))
        assert await journal.append([batch(shard, seq=seq, events=new)])
        self._seqs[service, shard] = seq + A_WRITE


async def published(settings: StoreSettings) -> dict[str, dict[str, list[int]]]:
    """Sequences by topic and subject, as they stand in the partitions."""
    found: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    topics = [ENTITIES[entity].topic for entity in (*_ENTITY.values(), "cart")]
    async for message in KafkaBroker(settings).read(topics, from_start=True, until_end=True):
        one = read(message.value or b"")
        assert one is not None
        assert message.key == one.entity_id.encode()
        found[message.topic][one.subject].append(one.sequence)
    return found


@contextmanager
def bridge(settings: StoreSettings) -> Iterator["subprocess.Popen[bytes]"]:
    """A bridge's process; killed at the end."""
    environment = {
        **os.environ,
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "KAFKA_BOOTSTRAP_SERVERS": str(settings.kafka_bootstrap_servers),
        "STAMPEDE_KAFKA_PARTITIONS": str(settings.kafka_partitions),
        "STAMPEDE_KAFKA_REQUEST_TIMEOUT_MS": str(settings.kafka_request_timeout_ms),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "tests.integration.kafka_bridge_process"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()


@asynccontextmanager
async def world(server: EmbeddedPostgres, kafka: KafkaProcess) -> AsyncIterator[tuple[StoreSettings, Stores]]:
    settings = StoreSettings.of(
        server.url,
        kafka_bootstrap_servers=kafka.servers,
        kafka_partitions=4,
        kafka_request_timeout_ms=4_000,
        connect_timeout_ms=10_000,
        lock_timeout_ms=5_000,
        statement_timeout_ms=20_000,
        answer_timeout_ms=30_000,
    )
    await migrate(settings)
    stores = await open_stores(settings)
    try:
        yield settings, stores
    finally:
        await stores.close()


async def behind(stores: Stores) -> int:
    """Events of journals and outboxes that the bridge has not put behind it."""
    waiting = len(await stores.outboxes["carts"].read(1_000))
    for service in JOURNAL_SERVICES:
        positions = await stores.cursors[service].positions(NAME)
        heads = await stores.journals[service].heads()
        waiting += sum(head.seq - positions.get(head.shard, 0) for head in heads)
    return waiting


async def reaches(stores: Stores, waiting_max: int, process: "subprocess.Popen[bytes]") -> None:
    """Until no more than that waits."""
    while await behind(stores) > waiting_max:
        assert process.poll() is None, "the bridge has ended"
        await asyncio.sleep(0.05)


async def bridge_through_kills(server: EmbeddedPostgres, kafka: KafkaProcess, events: int) -> int:
    """Publish so many with two kill -9 of the bridge and one of the broker; how many were published twice."""
    async with world(server, kafka) as (settings, stores):
        written = Written(stores)
        await written.journals(events)
        for version in range(1, 6):
            await written.carts(version)
        total = await behind(stores)
        for part in (0.75, 0.5):
            with bridge(settings) as process:
                await reaches(stores, int(total * part), process)
        with bridge(settings) as process:
            await reaches(stores, int(total * 0.3), process)
            kafka.kill()
            await written.journals(1_000)  # selling does not wait
            await asyncio.to_thread(kafka.start)
            await reaches(stores, 0, process)
        found = await published(settings)
        judged = await check_published(stores, KafkaBroker(settings))
        assert (judged.findings.breaches, judged.waiting, judged.trimmed) == ([], 0, ())
    repeated = 0
    for topic, counts in written.counts.items():
        assert found[topic].keys() == counts.keys()
        for subject, count in counts.items():
            sequences = found[topic][subject]
            assert list(dict.fromkeys(sequences)) == list(range(1, count + 1)), subject
            repeated += len(sequences) - count
    return repeated


@pytest.mark.timeout(300)
async def test_20_000_events_arrive_complete_and_in_order_through_kills_of_bridge_and_broker(
    server: EmbeddedPostgres, kafka_process: KafkaProcess
) -> None:
    repeated = await bridge_through_kills(server, kafka_process, 20_000)
    # A batch of each feed for every kill, and a few while the broker was away; far from all of it.
    assert repeated <= 10 * 4 * 500


@pytest.mark.soak
@pytest.mark.timeout(1_200)
async def test_100_000_events_arrive_complete_and_in_order(
    server: EmbeddedPostgres, kafka_process: KafkaProcess
) -> None:
    await bridge_through_kills(server, kafka_process, 100_000)


@pytest.mark.timeout(180)
async def test_a_replay_publishes_again_from_a_seq_and_nothing_that_the_bridge_has_not(
    server: EmbeddedPostgres, kafka_process: KafkaProcess
) -> None:
    async with world(server, kafka_process) as (settings, stores):
        written = Written(stores)
        await written.journals(SHARDS * A_WRITE * 3)
        with bridge(settings) as process:
            await reaches(stores, 0, process)
        await written.journals(SHARDS * A_WRITE * 3)  # not bridged
        publisher = KafkaBroker(settings).publisher()
        try:
            count = await replay_journal(stores, publisher, "orders", 31, bytes_max=900_000)
        finally:
            await publisher.close()
        found = await published(settings)
    assert count == SHARDS * (A_WRITE - 30)
    assert sum(map(len, found["order-events"].values())) == SHARDS * A_WRITE + count
    assert sum(map(len, found["payment-events"].values())) == SHARDS * A_WRITE


async def test_a_store_error_names_kafka_and_no_server(kafka_process: KafkaProcess) -> None:
    settings = StoreSettings.of("postgresql://x/y", kafka_bootstrap_servers=kafka_process.servers)
    kafka_process.kill()
    with pytest.raises(StoreError) as caught:
        await KafkaBroker(settings).ping()
    assert str(caught.value).startswith("kafka:")
    assert "127.0.0.1" not in str(caught.value)
