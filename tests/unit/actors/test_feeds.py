"""Consumers get every event at least once and in order, each at its own pace, whatever becomes of the others."""

import asyncio
import itertools
from collections.abc import Sequence

import pytest
import structlog

from persistence.errors import OutcomeUnknown, StoreUnavailable
from persistence.memory.seams import Seams
from persistence.records import JournalEvent, NewEvent
from tests.unit.actors.consumer_world import SETTINGS, Recorder, World, virtually

# --- journals ----------------------------------------------------------------------------------------


@virtually
async def test_what_was_there_and_what_comes_arrives_once_and_in_order() -> None:
    world, consumer = World(), Recorder()
    await world.append(1, 25)
    await world.append(2, 3)
    async with world.feeding(consumer):
        await consumer.has(28)
        await world.append(2, 4)
        await consumer.has(32)
    assert consumer.versions("ord_1") == list(range(1, 26))
    assert consumer.versions("ord_2") == list(range(1, 8))


@virtually
async def test_batches_are_bounded_and_no_shard_waits_behind_busier_ones() -> None:
    world, consumer = World(), Recorder()
    for shard in range(9):
        await world.append(shard, 40)
    async with world.feeding(consumer):
        await consumer.has(9 * 40)
    assert max(len(batch) for batch in consumer.batches) <= SETTINGS.page_events_max
    first_batches = [event for batch in consumer.batches[:3] for event in batch]
    assert {event.shard for event in first_batches if isinstance(event, JournalEvent)} == set(range(9))


@virtually
async def test_an_event_arrives_within_a_poll_and_sooner_while_more_come() -> None:
    world, consumer = World(), Recorder()
    loop = asyncio.get_running_loop()
    await world.append(1)
    async with world.feeding(consumer):
        await asyncio.sleep(60)
        delays = []
        for count in range(2, 5):
            began_s = loop.time()
            await world.append(1)
            await consumer.has(count)
            delays.append(loop.time() - began_s)
    assert round(delays[0] * 1e3) <= SETTINGS.poll_interval_ms
    assert round(max(delays[1:]) * 1e3) <= SETTINGS.busy_poll_interval_ms


@virtually
async def test_only_shards_that_moved_are_read_and_what_two_ask_for_is_read_once() -> None:
    world = World()
    calls: list[str] = []

    async def note(name: str) -> None:
        calls.append(name)

    consumers = [Recorder(name="a"), Recorder(name="b")]
    await world.append(1, 5)
    async with world.feeding(*consumers, stores=world.open(Seams(before=note))):
        for consumer in consumers:
            await consumer.has(5)
        await asyncio.sleep(30)
        assert calls.count("orders.read_behind") == 1
        assert 30 <= calls.count("orders.heads") <= 35


@virtually
async def test_the_next_process_goes_on_where_the_last_one_stopped() -> None:
    world, first, second = World(), Recorder(), Recorder()
    await world.append(1, 7)
    async with world.feeding(first):
        await first.has(7)
        await asyncio.sleep(1)
    await world.append(1, 2)
    async with world.feeding(second):
        await second.has(2)
    assert second.versions("ord_1") == [8, 9]


@virtually
async def test_a_crash_between_effect_and_cursor_repeats_that_batch_and_nothing_else() -> None:
    world, first, second = World(), Recorder(), Recorder()
    await world.append(1, 25)
    handled_twice = asyncio.Event()

    async def stall(name: str) -> None:
        if name == "orders.cursors.advance" and len(first.batches) == 2:
            handled_twice.set()
            await asyncio.Event().wait()

    async with world.feeding(first, stores=world.open(Seams(before=stall))):
        await handled_twice.wait()
    assert first.versions("ord_1") == list(range(1, 21))
    async with world.feeding(second):
        await second.has(15)
    assert second.versions("ord_1") == list(range(11, 26))


# --- faults ------------------------------------------------------------------------------------------


@virtually
async def test_a_slow_consumer_holds_up_no_other() -> None:
    world, quick = World(), Recorder(name="quick")
    slow = Recorder(name="slow", before=lambda _: asyncio.get_running_loop().create_future())
    await world.append(1, 30)
    async with world.feeding(slow, quick, handle_timeout_ms=10_000_000):
        await quick.has(30)
        assert slow.events == []


@virtually
async def test_a_failing_consumer_gets_its_batch_again_with_growing_bounded_pauses_and_holds_up_no_other() -> None:
    world, other, tried_s = World(), Recorder(name="other"), []
    loop = asyncio.get_running_loop()

    def fail(_: Sequence[NewEvent]) -> None:
        tried_s.append(loop.time())
        if len(tried_s) <= 9:
            raise ZeroDivisionError

    failing = Recorder(name="failing", before=fail)
    await world.append(1, 3)
    with structlog.testing.capture_logs() as logs:
        async with world.feeding(failing, other):
            await other.has(3)
            assert failing.events == []
            await failing.has(3)
            await asyncio.sleep(1)
            await world.append(1)
            await failing.has(4)
    assert failing.versions("ord_1") == [1, 2, 3, 4]
    pauses_s = [round(later - earlier, 3) for earlier, later in itertools.pairwise(tried_s[:10])]
    assert pauses_s == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0, 5.0]
    told = [line for line in logs if line["event"] == "consumer.failed"]
    assert [line["failures"] for line in told] == list(range(1, 10))
    assert {line["consumer"] for line in told} == {"failing"}


@virtually
async def test_a_consumer_that_hangs_is_given_its_batch_again() -> None:
    world, loop = World(), asyncio.get_running_loop()
    hangs = [loop.create_future()]
    consumer = Recorder(before=lambda _: hangs.pop() if hangs else None)
    await world.append(1, 2)
    async with world.feeding(consumer, handle_timeout_ms=1_000):
        await consumer.has(2)
    assert consumer.versions("ord_1") == [1, 2]


@virtually
async def test_a_store_that_is_away_for_a_minute_costs_nothing_and_is_found_again_within_5_s() -> None:
    world, consumer, outbox = World(), Recorder(), Recorder(name="carts", journals=(), outboxes=("carts",))
    loop = asyncio.get_running_loop()

    async def away(name: str) -> None:
        if 2 < loop.time() < 62:
            raise StoreUnavailable(name)

    await world.append(1, 2)
    async with world.feeding(consumer, outbox, stores=world.open(Seams(before=away))):
        await asyncio.sleep(30)
        await world.append(1, 3)
        await world.put_out("c1")
        await consumer.has(5)
        await outbox.has(1)
        assert loop.time() <= 62 + 5 + 1
    assert consumer.versions("ord_1") == [1, 2, 3, 4, 5]


@virtually
async def test_an_advance_whose_answer_is_lost_repeats_a_batch_and_loses_none() -> None:
    world, consumer = World(), Recorder()
    lost: list[str] = []

    async def lose(name: str) -> None:
        if name == "orders.cursors.advance" and not lost:
            lost.append(name)
            raise OutcomeUnknown(name)

    await world.append(1, 12)
    async with world.feeding(consumer, stores=world.open(Seams(after=lose))):
        await consumer.has(22)
    assert consumer.versions("ord_1") == [*range(1, 11), *range(1, 13)]


# --- outboxes ----------------------------------------------------------------------------------------


@virtually
async def test_an_outbox_is_emptied_in_order_and_what_a_dead_process_had_in_hand_is_the_first_of_the_next() -> None:
    world = World()
    first = Recorder(journals=(), outboxes=("carts",))
    second = Recorder(journals=(), outboxes=("carts",))
    stuck = asyncio.Event()

    def hold(_: Sequence[NewEvent]) -> "asyncio.Future[None]":
        stuck.set()
        return asyncio.get_running_loop().create_future()

    first.before = hold
    await world.put_out("c1", [1, 2])
    async with world.feeding(first):
        await stuck.wait()
        await world.put_out("c1b", [1])
    began_s = asyncio.get_running_loop().time()
    async with world.feeding(second):
        await second.has(3)
        assert asyncio.get_running_loop().time() == began_s, "nothing of the dead one has to be waited for"
        await world.put_out("c2", [1, 2])
        await second.has(5)
        await asyncio.sleep(1)
    assert [(event.entity_id, event.version) for event in second.events] == [
        ("c1", 1), ("c1", 2), ("c1b", 1), ("c2", 1), ("c2", 2),
    ]  # fmt: skip
    assert world.tables.carts.outbox.rows == {}


# --- beside the consumers ----------------------------------------------------------------------------


class Restless:
    """A background task that fails a few times before it stays."""

    name = "restless"

    def __init__(self, failures: int) -> None:
        self.left = failures
        self.starts = 0
        self.stayed = asyncio.Event()
        self.stopped = asyncio.Event()

    async def run(self) -> None:
        self.starts += 1
        if self.left:
            self.left -= 1
            raise ZeroDivisionError
        self.stayed.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped.set()


@virtually
async def test_a_background_task_is_run_again_when_it_fails_and_stopped_with_the_rest() -> None:
    world, consumer, task = World(), Recorder(), Restless(3)
    await world.append(1)
    async with world.feeding(consumer, background=[task]):
        await task.stayed.wait()
        await consumer.has(1)
        assert not task.stopped.is_set()
    assert task.starts == 4
    assert task.stopped.is_set()


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        (Recorder(name="a"), Recorder(name="a"), "the same name: a"),
        (Recorder(name="a", outboxes=("carts",)), Recorder(name="b", outboxes=("carts",)), "the same outbox: carts"),
    ],
    ids=["name", "outbox"],
)
def test_consumers_that_would_rob_each_other_are_refused(one: Recorder, other: Recorder, why: str) -> None:
    async def scenario() -> None:
        async with World().feeding(one, other):
            pass

    with pytest.raises(ValueError, match=why):
        asyncio.run(scenario())
