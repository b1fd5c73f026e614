"""Hosts of the runtime over shared memory tables, on a virtual clock. `key@3` lives in shard 3."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from itertools import count
from typing import Any

import msgspec

from actors.domain.steps import Ask
from actors.runtime.host_runtime import HostRuntime
from actors.runtime.planted_bugs import NO_BUGS, PlantedBugs
from actors.runtime.settings import RuntimeSettings
from cluster.clock import Interval
from cluster.envelope import Envelope, IdempotencyKey, ReplyEnvelope
from persistence.memory.seams import Seams
from persistence.memory.tables import MemoryTables
from persistence.records import JOURNAL_SERVICES, JournalEvent, JournalService, ViewRow
from persistence.stores import open_memory_stores
from tests.simulation.virtual_loop import run_virtual
from tests.unit.runtime import toys

EPOCH_MS = 1_000_000


class VirtualClock:
    """Exact: earliest and latest are the loop's time, plus a skew that a test may set."""

    skew_ms = 0

    def now_ms(self) -> int:
        return EPOCH_MS + round(asyncio.get_running_loop().time() * 1e3)

    def now(self) -> Interval:
        now = self.now_ms()
        return Interval(now - self.skew_ms, now + self.skew_ms)


class LocalPerformer:
    """Asks go straight to whichever host runs the shard; nothing is retried."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.asked: list[Ask] = []

    def perform(self, step: Any, origin: Envelope) -> Awaitable[Any]:
        assert isinstance(step, Ask)
        self.asked.append(step)
        envelope = self._world.envelope(
            step.entity_type, step.entity_id, command_id=step.command_id, causation_id=origin.command_id
        )
        return self._world.host_of(step.entity_id).deliver_local(envelope, step.command)


class Faults:
    """What the store does instead of working, by call name; and calls that are held until released."""

    def __init__(self) -> None:
        self.before: dict[str, list[Exception]] = {}
        self.after: dict[str, list[Exception]] = {}
        self.calls: list[str] = []
        self.meanwhile: dict[str, Callable[[], None]] = {}
        self._held: dict[str, asyncio.Event] = {}

    def seams(self) -> Seams:
        return Seams(before=self._before, after=self._after)

    def hold(self, name: str) -> asyncio.Event:
        """Calls of this name wait for the returned event."""
        return self._held.setdefault(name, asyncio.Event())

    async def _before(self, name: str) -> None:
        self.calls.append(name)
        await asyncio.sleep(0.001)
        if name in self._held:
            await self._held[name].wait()
        if name in self.meanwhile:
            self.meanwhile[name]()
        if self.before.get(name):
            raise self.before[name].pop(0)

    async def _after(self, name: str) -> None:
        if self.after.get(name):
            raise self.after[name].pop(0)


class World:
    def __init__(self, planted: PlantedBugs = NO_BUGS, **settings: Any) -> None:
        self.tables = MemoryTables()
        self.clock = VirtualClock()
        self.settings = RuntimeSettings(**settings)
        self.planted = planted
        self.faults = Faults()
        self.may_answer = True
        self.performer = LocalPerformer(self)
        self.lost: list[tuple[int, int]] = []
        self.hosts: list[HostRuntime] = []
        self._ids = count(1)
        self._owner: dict[int, HostRuntime] = {}
        self._epoch = count(1)
        self.host = self.add_host()

    def add_host(self) -> HostRuntime:
        stores = open_memory_stores(self.clock.now_ms, tables=self.tables, seams=self.faults.seams())
        host = HostRuntime(
            types=toys.TYPES,
            stores=stores,
            clock=self.clock,
            may_answer=lambda: self.may_answer,
            shard_of=lambda key: int(key.rpartition("@")[2]),
            performer_for=lambda _local: self.performer,
            settings=self.settings,
            planted=self.planted,
        )
        host.on_lost = lambda shard, epoch: self.lost.append((shard, epoch))
        self.hosts.append(host)
        return host

    def host_of(self, key: str) -> HostRuntime:
        return self._owner.get(int(key.rpartition("@")[2]), self.host)

    async def claim(self, shard: int, host: HostRuntime | None = None) -> int:
        """Fence every journal of the shard and start it."""
        host = host or self.host
        epoch = next(self._epoch)
        stores = host.services.stores
        heads = {}
        for service in JOURNAL_SERVICES:
            head = await stores.journals[service].fence(shard, epoch)
            assert head is not None
            heads[service] = head
        self._owner[shard] = host
        await host.start(shard, epoch, heads)
        return epoch

    async def takeover(self, shard: int) -> HostRuntime:
        """The old owner is as good as dead: it hears nothing of it."""
        host = self.add_host()
        await self.claim(shard, host)
        return host

    def envelope(
        self, type_: str, id_: str, command: Any = None, *, timeout_ms: int = 5_000, **fields: Any
    ) -> Envelope:
        number = next(self._ids)
        return Envelope(
            **(
                {
                    "message_id": f"m{number}",
                    "command_id": f"c{number}",
                    "entity_type": type_,
                    "entity_id": id_,
                    "routing_key": id_,
                    "payload": msgspec.msgpack.encode(command) if command is not None else b"",
                    "not_after_ms": self.clock.now_ms() + timeout_ms,
                    "correlation_id": "flow",
                }
                | fields
            )
        )

    def send(self, type_: str, id_: str, command: Any, **fields: Any) -> "asyncio.Future[ReplyEnvelope]":
        return self.host_of(id_).deliver(self.envelope(type_, id_, command, **fields))

    async def ask(self, type_: str, id_: str, command: Any, **fields: Any) -> Any:
        """The reply object, or the code of the fault."""
        return decoded(await self.send(type_, id_, command, **fields))

    def journal(self, service: JournalService, shard: int = 0) -> list[JournalEvent]:
        return self.tables.journals[service].journal.get(shard, [])

    def view(self, service: JournalService, id_: str) -> ViewRow | None:
        return self.tables.journals[service].views.get(id_)

    def low_water(self, service: JournalService, shard: int = 0) -> int:
        return self.tables.journals[service].heads[shard].low_water


def decoded(reply: ReplyEnvelope) -> Any:
    if reply.kind == "error":
        return reply.code
    return msgspec.msgpack.decode(reply.payload, type=toys.Reply)


def keyed(key: str) -> IdempotencyKey:
    return IdempotencyKey(principal="p", route="r", key=key, fingerprint="f")


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario on a virtual loop of its own."""
    run_virtual(scenario())
