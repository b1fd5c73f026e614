"""A whole cluster in one virtual-time loop: memory stores, a faulty network, hosts with counters, one client."""

import asyncio
from dataclasses import dataclass, field
from itertools import count
from random import Random

from cluster.clock import Judge, by_latest
from cluster.entity_ref import EntityRef, EntityRefs
from cluster.gate import Phase
from cluster.host import ClusterClient, ClusterHost, ClusterPorts
from cluster.local_transport import LocalTransport
from cluster.membership import HostIdentity
from cluster.settings import ClusterSettings
from persistence.memory.journal import MemoryJournal
from persistence.memory.ownership import MemoryOwnership
from persistence.memory.seams import Seams
from persistence.memory.tables import MemoryTables
from persistence.records import JOURNAL_SERVICES, HostRow
from tests.unit.cluster.counter_runtime import CounterRuntime

EPOCH_MS = 1_700_000_000_000


@dataclass(slots=True)
class Member:
    """One host, with the handles that a test breaks it by."""

    host: ClusterHost
    runtime: CounterRuntime
    actor_name: str
    seams: Seams
    reachable: asyncio.Event


@dataclass(slots=True)
class World:
    """Make it inside the loop; `await start(n)`."""

    seed: int = 0
    settings: ClusterSettings = field(default_factory=lambda: ClusterSettings(shard_count=16))
    lease_judge: Judge = by_latest
    think_s: float = 0.0
    tables: MemoryTables = field(default_factory=MemoryTables)
    members: dict[str, Member] = field(default_factory=dict)
    ids: "count[int]" = field(default_factory=count)
    network: LocalTransport = field(init=False)
    client: ClusterClient = field(init=False)
    refs: EntityRefs = field(init=False)

    def __post_init__(self) -> None:
        self.network = LocalTransport(rng=Random(self.seed), timeout_ms=self.settings.exchange_timeout_ms)

    def now_ms(self) -> int:
        return EPOCH_MS + int(asyncio.get_running_loop().time() * 1e3)

    def new_id(self) -> str:
        return f"id-{next(self.ids):08d}"

    def ports(self, seams: Seams) -> ClusterPorts:
        loop = asyncio.get_running_loop()
        return ClusterPorts(
            store=MemoryOwnership(self.tables.cluster, self.now_ms, seams),
            transport=self.network,
            new_id=self.new_id,
            settings=self.settings,
            monotonic=lambda: loop.time() * 1e3,
            lease_judge=self.lease_judge,
        )

    async def start(self, hosts: int) -> None:
        for index in range(hosts):
            await self.start_host(f"h{index}")
        self.client = ClusterClient(self.ports(Seams()))
        await self.client.start()
        self.refs = EntityRefs(region=self.client.region, clock=self.client.clock, new_id=self.new_id)

    async def start_host(self, name: str) -> Member:
        member = self.make_host(name)
        await member.host.start()
        return member

    def make_host(self, name: str) -> Member:
        reachable = asyncio.Event()
        reachable.set()

        async def when_reachable(_call: str) -> None:
            await reachable.wait()

        seams = Seams(before=when_reachable, after=when_reachable)
        journals = {
            service: MemoryJournal(service, self.tables.journals[service], seams) for service in JOURNAL_SERVICES
        }
        incarnation = self.new_id()
        actor_name = f"host-{name}-{incarnation}"
        host = ClusterHost(
            ports=self.ports(seams),
            journals=journals,
            identity=HostIdentity(host=name, node="n", actor_name=actor_name),
            first_incarnation=incarnation,
            runtime=lambda ctx: CounterRuntime(ctx, journals["orders"], self.settings.shard_count, self.think_s),
        )
        runtime = host.runtime
        assert isinstance(runtime, CounterRuntime)
        member = self.members[name] = Member(host, runtime, actor_name, seams, reachable)
        self.network.listen(actor_name, host.exchange)
        return member

    def partition(self, name: str) -> None:
        """The host reaches no store, and nobody reaches the host."""
        self.members[name].reachable.clear()
        self.network.freeze(self.members[name].actor_name)

    def heal(self, name: str) -> None:
        self.members[name].reachable.set()
        self.network.thaw(self.members[name].actor_name)

    async def kill(self, name: str) -> Member:
        member = self.members.pop(name)
        self.network.kill(member.actor_name)
        member.reachable.clear()  # nothing it still had under way reaches the store
        await member.host.kill()
        return member

    async def stop(self, name: str) -> None:
        member = self.members.pop(name)
        await member.host.stop()
        self.network.kill(member.actor_name)

    def row(self, name: str) -> HostRow:
        return next(row for row in self.tables.cluster.hosts.values() if row.host == name)

    def served(self) -> dict[int, list[str]]:
        """Who runs each shard."""
        return {
            shard: [
                name
                for name, member in self.members.items()
                if member.host.ownership.gate.slot(shard).phase is Phase.RUNNING
            ]
            for shard in range(self.settings.shard_count)
        }

    async def settled(self, timeout_s: float = 60.0) -> float:
        """Wait until every shard runs at exactly one host and its share is fair; returns the seconds it took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.timeout(timeout_s):
            while True:
                if all(len(hosts) == 1 for hosts in self.served().values()):
                    return loop.time() - began
                await asyncio.sleep(0.01)

    def counter(self, key: str) -> EntityRef:
        return self.refs.ref("counter", key)

    async def inc(self, key: str, command_id: str = "", timeout_ms: int = 8_000) -> int:
        ref = self.counter(key)
        reply = await ref.ask(ref.envelope(b"inc", command_id=command_id, timeout_ms=timeout_ms))
        return int(reply.payload)

    def journaled(self) -> list[str]:
        """The command ids of all events, by shard and seq."""
        return [event.command_id for events in self.tables.journals["orders"].journal.values() for event in events]
