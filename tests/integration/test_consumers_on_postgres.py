"""Consumers over a real PostgreSQL: several processes that each believe to be the one, and a server that dies on them."""

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import Sequence

import psutil
import pytest

from actors.consumer_settings import ConsumerSettings
from actors.feeds import Feeds
from persistence.embedded import EmbeddedPostgres
from persistence.errors import StoreError
from persistence.postgres.migrate import migrate
from persistence.records import NewEvent
from persistence.settings import StoreSettings
from persistence.stores import Stores, open_stores
from tests.contract.builders import batch, cart_write, event

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(120)]

SHARDS = 8
ROUNDS = 40
TAKE_OVERS = 4
SETTINGS = ConsumerSettings(
    poll_interval_ms=50,
    busy_poll_interval_ms=5,
    page_events_max=20,
    page_shards_max=5,
    standing_check_interval_ms=10**6,
)


class Follower:
    """Takes its effects down, and takes its time."""

    name = "follower"
    journals = ("orders",)
    outboxes = ("carts",)

    def __init__(self, effects: list[tuple[str, int]]) -> None:
        self._effects = effects

    async def handle(self, events: Sequence[NewEvent]) -> None:
        await asyncio.sleep(0.002)
        self._effects += [(one.entity_id, one.version) for one in events]
        await asyncio.sleep(0.002)


async def test_whoever_follows_nothing_is_lost_and_an_entity_s_events_are_in_order(server: EmbeddedPostgres) -> None:
    settings = StoreSettings.of(server.url, connect_timeout_ms=5_000, lock_timeout_ms=5_000)
    await migrate(settings)
    async with contextlib.AsyncExitStack() as opened:

        async def stores() -> Stores:
            connected = await open_stores(settings)
            opened.push_async_callback(connected.close)
            return connected

        writer, effects, running = await stores(), list[tuple[str, int]](), list["asyncio.Task[None]"]()

        async def start() -> None:
            number = len(running)

            async def is_standing() -> bool:
                return number == len(running) - 1

            feeds = Feeds(await stores(), [Follower(effects)], [], SETTINGS, is_standing)
            running.append(asyncio.create_task(feeds.run()))

        writing = asyncio.create_task(write(writer))
        for _ in range(TAKE_OVERS):
            await start()
            await asyncio.sleep(0.4)
        await writing
        kill_all(server)
        assert server.wait_for_starts(2, timeout_ms=20_000)
        await write_more(writer)
        zombies = running[:-1]
        await asyncio.wait_for(asyncio.gather(*zombies), 10)
        await all_read(writer)
        running[-1].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running[-1]
        first_times = list(dict.fromkeys(effects))
        for entity_id in [f"ord_{shard}" for shard in range(SHARDS)] + [f"cart-{n}" for n in range(SHARDS)]:
            versions = [version for entity, version in first_times if entity == entity_id]
            assert versions == list(range(1, len(versions) + 1)), entity_id
        written = Counter(entity for entity, _ in first_times)
        assert [written[f"ord_{shard}"] for shard in range(SHARDS)] == [2 * (ROUNDS + 1)] * SHARDS
        assert [written[f"cart-{n}"] for n in range(SHARDS)] == [ROUNDS] * SHARDS
        assert (await writer.cursors["orders"].take("follower"))[0] > TAKE_OVERS


async def write(stores: Stores) -> None:
    """Two more events of every order, one more of every cart, again and again."""
    journal = stores.journals["orders"]
    for shard in range(SHARDS):
        await journal.fence(shard, 1)
    for round_ in range(ROUNDS):
        await journal.append([batch(shard, seq=2 * round_, events=2) for shard in range(SHARDS)])
        events = [event(f"cart-{n}", round_ + 1) for n in range(SHARDS)]
        await stores.carts.save([cart_write(one.entity_id, round_, events=[one]) for one in events])
        await asyncio.sleep(0.02)


async def write_more(stores: Stores) -> None:
    """After the server came back. What was written without an answer is not written again: the seqs do not fit."""
    async with asyncio.timeout(20):
        while True:
            try:
                await stores.journals["orders"].append([batch(s, seq=2 * ROUNDS, events=2) for s in range(SHARDS)])
            except StoreError:
                await asyncio.sleep(0.05)
            else:
                return


async def all_read(stores: Stores) -> None:
    """Until the cursors stand where the heads are, and the outbox is empty."""
    async with asyncio.timeout(20):
        while True:
            heads = {head.shard: head.seq for head in await stores.journals["orders"].heads()}
            read = await stores.cursors["orders"].positions("follower") == heads
            if read and not await stores.outboxes["carts"].read(1):
                return
            await asyncio.sleep(0.02)


def kill_all(server: EmbeddedPostgres) -> None:
    """kill -9 of every process of the server at once; its keeper starts it again."""
    assert server.pid is not None
    postmaster = psutil.Process(server.pid)
    for process in [postmaster, *postmaster.children(recursive=True)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
