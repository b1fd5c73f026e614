"""One run of the consumers from one seed: processes that are killed, frozen and doubled at any await, over shared stores.

What must hold: every event takes effect at least once; an entity's events take effect in order, if one looks at the
first time of each; only the newest process puts anything behind it, and never moves back; and no more is repeated than
a batch for each thing that went wrong.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any
from unittest import mock

import structlog

from actors.consumer_settings import ConsumerSettings
from actors.feeds import Feeds
from persistence.errors import OutcomeUnknown, StoreUnavailable
from persistence.memory.consumer_cursors import MemoryCursors
from persistence.memory.outbox import MemoryOutbox
from persistence.memory.seams import Seams
from persistence.memory.tables import MemoryTables
from persistence.records import NewEvent
from persistence.stores import Stores, open_memory_stores
from tests.contract.builders import batch, cart_write, event
from tests.simulation.processes import Process, ProcessLoop
from tests.simulation.virtual_loop import run_virtual
from tests.simulation.watched_stores import WatchedCursors, WatchedOutbox

SHARDS = 4
WRITES = 60
BUSY_S = 30.0
QUIET_S = 12.0
SETTINGS = ConsumerSettings(page_events_max=4, page_shards_max=3, handle_timeout_ms=3_000)
Key = tuple[str, int]


@dataclass(frozen=True, kw_only=True)
class ConsumerPlant:
    """The bugs of a run; none of them by default."""

    fencing: bool = True
    patches: tuple[tuple[Any, str, Any], ...] = ()
    """(class, name, what stands there instead for the run)."""


@dataclass(eq=False, kw_only=True)
class Follower:
    """A consumer of everything; an effect takes a while, and is durable in one moment of it."""

    world: "ConsumersWorld"
    name: str = "follower"
    journals: tuple[Any, ...] = ("orders",)
    outboxes: tuple[Any, ...] = ("carts",)

    async def handle(self, events: Sequence[NewEvent]) -> None:
        await self.world.hesitate()
        if self.world.chance(0.03):
            self.world.disturbed()
            raise ZeroDivisionError
        for one in events:
            self.world.effects.append((one.entity_id, one.version))
        await self.world.hesitate()


@dataclass(kw_only=True)
class ConsumersOutcome:
    """What came of a run."""

    seed: int
    breaches: list[str]
    events: int
    repeated: int
    stats: Counter[str] = field(default_factory=Counter)


class ConsumersWorld:
    """Make it inside a `ProcessLoop`."""

    def __init__(self, seed: int, plant: ConsumerPlant) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ProcessLoop)
        self.loop = loop
        self.rng = Random(f"consumers:{seed}")
        self.plant = plant
        self.calm = False
        self.tables = MemoryTables()
        self.effects: list[Key] = []
        self.written: list[Key] = []
        self.breaches: list[str] = []
        self.stats: Counter[str] = Counter()
        self.processes: list[Process] = []
        self._outside = loop.process("outside")

    def chance(self, probability: float) -> bool:
        return not self.calm and self.rng.random() < probability

    def disturbed(self) -> None:
        self.stats["disturbances"] += 1

    async def hesitate(self) -> None:
        """An await at which anything may happen to who waits."""
        await asyncio.sleep(0.0 if self.calm else self.rng.choice((0.0, 0.001, 0.02, 0.3)))

    # --- processes ---------------------------------------------------------------------------------

    def start_process(self) -> Process:
        process = self.loop.process(f"consumers-{len(self.processes)}")
        self.processes.append(process)
        self.stats["starts"] += 1
        feeds = Feeds(self._stores(), [Follower(world=self)], [], SETTINGS, partial(self._is_standing, process))
        process.spawn(feeds.run())
        return process

    async def _is_standing(self, process: Process) -> bool:
        await self.hesitate()
        return process is self.processes[-1]

    def _stores(self) -> Stores:
        seams = Seams(before=self._before, after=self._after)
        stores = open_memory_stores(lambda: 0, tables=self.tables, seams=seams)
        cursors = MemoryCursors("orders", self.tables.journals["orders"], seams, self.plant.fencing)
        outbox = MemoryOutbox(self.tables.carts.outbox, seams, self.plant.fencing)
        return replace(
            stores,
            cursors={"orders": WatchedCursors(cursors, self.breaches)},
            outboxes={"carts": WatchedOutbox(outbox, self.breaches)},
        )

    async def _before(self, name: str) -> None:
        await self.hesitate()
        if self.chance(0.02):
            self.disturbed()
            raise StoreUnavailable(name)

    async def _after(self, name: str) -> None:
        await self.hesitate()
        if name.endswith(("take", "advance", "done")) and self.chance(0.03):
            self.disturbed()
            raise OutcomeUnknown(name)

    # --- what goes on ------------------------------------------------------------------------------

    async def write(self) -> None:
        """Orders in the journal and carts in the outbox, while the consumers are at work."""
        stores = open_memory_stores(lambda: 0, tables=self.tables)
        versions: Counter[str] = Counter()
        for shard in range(SHARDS):
            await stores.journals["orders"].fence(shard, 1)
        for _ in range(WRITES):
            await asyncio.sleep(self.rng.uniform(0, 2 * BUSY_S / WRITES))
            shard, many = self.rng.randrange(SHARDS), self.rng.choice((1, 1, 2, 7))
            if self.rng.random() < 0.3:
                new = self._next_events(versions, f"cart-{shard}", many)
                await stores.carts.save([cart_write(new[0].entity_id, versions["saves", shard], events=new)])
                versions["saves", shard] += 1
            else:
                new = self._next_events(versions, f"ord_{shard}_{self.rng.randrange(2)}", many)
                seq = self.tables.journals["orders"].heads[shard].seq
                await stores.journals["orders"].append([batch(shard, seq=seq, events=new)])

    def _next_events(self, versions: Counter[Any], entity_id: str, many: int) -> list[NewEvent]:
        new = [event(entity_id, versions[entity_id] + n) for n in range(1, many + 1)]
        versions[entity_id] += many
        self.written += [(one.entity_id, one.version) for one in new]
        return new

    async def hurt(self) -> None:
        """Kills, freezes and doubles the process, now here, now there."""
        while True:
            await asyncio.sleep(self.rng.expovariate(1 / 1.5))
            how = self.rng.choice(("kill", "freeze", "double"))
            self.stats[how] += 1
            self.disturbed()
            process = self.processes[-1]
            if how == "kill":
                process.kill()
            elif how == "freeze":
                process.freeze()
                thaw = partial(process.thaw, input_first=self.rng.random() < 0.5)
                self._outside.spawn(self._later(self.rng.uniform(0.01, 6.0), thaw))
            await asyncio.sleep(self.rng.choice((0.0, 0.001, 0.5)))
            self.start_process()

    async def _later(self, delay_s: float, what: Callable[[], None]) -> None:
        await asyncio.sleep(delay_s)
        what()

    async def run(self) -> None:
        self.start_process()
        writing = self._outside.spawn(self.write())
        hurting = self._outside.spawn(self.hurt())
        await writing
        hurting.cancel()
        await asyncio.sleep(10)  # the last frozen one is awake by then
        self.calm = True
        self.processes[-1].kill()
        self.start_process()
        await asyncio.sleep(QUIET_S)
        self._judge()

    def _judge(self) -> None:
        first_times = list(dict.fromkeys(self.effects))
        lost = set(self.written) - set(first_times)
        if lost:
            self.breaches.append(f"lost: {sorted(lost)}")
        seen: Counter[str] = Counter()
        for entity_id, version in first_times:
            if version != seen[entity_id] + 1:
                self.breaches.append(f"out of order: {entity_id} took effect at {version} after {seen[entity_id]}")
            seen[entity_id] = version
        repeated = len(self.effects) - len(first_times)
        sources = 2
        bound = (self.stats["disturbances"] + 1) * sources * SETTINGS.page_events_max
        if repeated > bound:
            self.breaches.append(f"{repeated} events were repeated, {bound} at most were expected")
        if self.tables.carts.outbox.rows:
            self.breaches.append(f"{len(self.tables.carts.outbox.rows)} rows were left in the outbox")


def run_consumers(seed: int, plant: ConsumerPlant | None = None) -> ConsumersOutcome:
    """Run one seed on a virtual loop of its own."""
    plant = plant or ConsumerPlant()
    loop = ProcessLoop()
    worlds: list[ConsumersWorld] = []

    async def live() -> None:
        world = ConsumersWorld(seed, plant)
        worlds.append(world)
        try:
            await world.run()
        finally:
            loop.end()
            loop.unhandled.clear()

    with ExitStack() as patches:
        # What is logged on the way is what a run is made of.
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        patches.callback(structlog.reset_defaults)
        for owner, name, value in plant.patches:
            patches.enter_context(mock.patch.object(owner, name, value))
        run_virtual(live(), time_max_s=1_000, loop=loop)
    (world,) = worlds
    repeated = len(world.effects) - len(set(world.effects))
    return ConsumersOutcome(
        seed=seed, breaches=world.breaches, events=len(world.written), repeated=repeated, stats=world.stats
    )
