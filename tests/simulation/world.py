"""The whole platform core in one virtual loop: hosts as processes, shared memory stores, network, gateway, one client."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random
from typing import Any

from actors.gateway.sandbox import SandboxGateway
from actors.platform_host import HostParts, PlatformHost
from actors.refs import TypedRefs
from actors.registry import ENTITY_TYPES
from actors.runtime.entity_type import EntityType
from actors.runtime.planted_bugs import NO_BUGS, PlantedBugs
from actors.runtime.settings import RuntimeSettings
from cluster.clock import Judge, by_latest
from cluster.entity_ref import EntityRefs
from cluster.errors import HostUnreachable
from cluster.host import ClusterClient, ClusterPorts
from cluster.membership import HostIdentity
from cluster.settings import ClusterSettings
from cluster.transport import Transport
from persistence.memory.tables import MemoryTables
from persistence.records import PriceRecord, ProductRecord, VariantRecord
from persistence.stores import Stores, open_memory_stores
from tests.simulation.faults import GatewayFaults, MisbehavingGateway, SimulatedNetwork, StoreFaults, StoreLink
from tests.simulation.processes import Process, ProcessLoop

EPOCH_MS = 1_700_000_000_000
TRACE_MAX = 4_000
SHARDS = 8
RUNTIME = RuntimeSettings(
    # Small bounds, so that a short run passes them often.
    snapshot_every_events=12,
    snapshot_rows_max=2,
    passivate_idle_ms=6_000,
    passivate_sweep_ms=3_000,
    scan_page_events=5,
    recovery_permits=3,
    append_events_max=20,
    wake_granularity_ms=250,
)
CLUSTER = ClusterSettings(shard_count=SHARDS)


@dataclass(frozen=True, kw_only=True)
class Plant:
    """The bugs of a run; none of them by default."""

    types: dict[str, EntityType] = field(default_factory=lambda: dict(ENTITY_TYPES))
    planted: PlantedBugs = NO_BUGS
    fencing: bool = True
    views_joined: bool = True
    lease_judge: Judge = by_latest
    stores: Callable[[Stores], Stores] = lambda stores: stores
    patches: tuple[tuple[Any, str, Any], ...] = ()
    """(module or class, name, what stands there instead for the run)."""


@dataclass(eq=False)
class Machine:
    """One host: the process, what runs in it, and its ways to the outside."""

    name: str
    actor_name: str
    process: Process
    host: PlatformHost
    link: StoreLink
    offset_ms: float
    refs: TypedRefs | None = None

    @property
    def up(self) -> bool:
        return not self.process.stopped and self.refs is not None


class World:
    """Make it inside a `ProcessLoop`; `await start(n)`. `note` adds a line to the trace of the run."""

    def __init__(self, seed: int | str, plant: Plant | None = None) -> None:
        self.seed = seed
        self.plant = plant or Plant()
        self.tables = MemoryTables()
        self.machines: dict[str, Machine] = {}
        self.graves: list[Machine] = []
        self.calm = False
        self.stores_down = False
        self.store_faults = StoreFaults()
        self.trace: deque[str] = deque(maxlen=TRACE_MAX)
        self.steps = 0
        self.store_rng = self.rng("stores")
        self.on_ran: list[Callable[[StoreLink, str], None]] = []
        """Told of each statement that has just run, before its caller hears of it."""
        self.on_thaw: list[Callable[[], None]] = []
        self._ids = count()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ProcessLoop)
        self.loop = loop
        self._outside = loop.process("outside")
        self.network = SimulatedNetwork(self, rng=self.rng("network"), timeout_ms=CLUSTER.exchange_timeout_ms)
        calm_stores = open_memory_stores(self.now_ms, tables=self.tables)
        self.gateway = MisbehavingGateway(
            self, SandboxGateway(calm_stores.ledger, self.now_ms), self.rng("gateway"), GatewayFaults()
        )
        self.stores = calm_stores
        self.client_link = StoreLink(self, self.store_faults)
        self.client_stores = self._open(self.client_link)
        self.client: ClusterClient | None = None
        self.refs: TypedRefs | None = None

    # --- chance, time, the trace -------------------------------------------------------------------

    def rng(self, concern: str) -> Random:
        """Each concern has its own chance, so that one more draw somewhere does not change all others."""
        return Random(f"{self.seed}:{concern}")

    def now_ms(self) -> int:
        return EPOCH_MS + int(self.loop.time() * 1e3)

    def new_id(self) -> str:
        return f"{next(self._ids):08d}"

    def note(self, line: str, *, quiet: bool = False) -> None:
        self.steps += 1
        if not quiet:
            self.trace.append(f"{self.loop.time():10.3f}  {line}")

    def spawn(self, work: Coroutine[Any, Any, Any], name: str = "outside") -> "asyncio.Task[Any]":
        """Run it outside all hosts: in the network, a store, the gateway."""
        return self._outside.spawn(work, name)

    def ran(self, link: StoreLink, name: str) -> None:
        for told in self.on_ran:
            told(link, name)

    # --- hosts -------------------------------------------------------------------------------------

    async def start(self, hosts: int) -> None:
        for index in range(hosts):
            self.start_host(f"h{index}")
        ports = self._ports(self.client_stores, self.network, lambda: self.loop.time() * 1e3)
        self.client = ClusterClient(ports)
        await self.client.start()
        refs = EntityRefs(region=self.client.region, clock=self.client.clock, new_id=self.new_id)
        self.refs = TypedRefs(refs, self.plant.types)

    def start_host(self, name: str, *, offset_ms: float = 0.0) -> Machine:
        """A new process of this name; an older one that still lives is none of its business."""
        incarnation = self.new_id()
        actor_name = f"host-{name}-{incarnation}"
        process = self.loop.process(actor_name)
        link = StoreLink(self, self.store_faults)
        monotonic = lambda: self.loop.time() * 1e3 + offset_ms  # noqa: E731
        host = PlatformHost(
            open_stores=partial(self._opened, link),
            parts=HostParts(
                transport=self.network,
                types=self.plant.types,
                runtime=RUNTIME,
                planted=self.plant.planted,
                monotonic_ms=monotonic,
                gateway=lambda _stores, _now_ms: self.gateway,
                ports=lambda stores, transport: self._ports(stores, transport, monotonic),
            ),
            identity=HostIdentity(host=name, node="n", actor_name=actor_name),
            incarnation=incarnation,
        )
        machine = Machine(name, actor_name, process, host, link, offset_ms)
        if name in self.machines:
            self.graves.append(self.machines[name])
        self.machines[name] = machine
        self.network.serve(actor_name, partial(self._serve, machine))
        process.spawn(self._run(machine), actor_name)
        self.note(f"start {actor_name}")
        return machine

    async def _run(self, machine: Machine) -> None:
        await machine.host.start()
        cluster = machine.host.cluster
        assert cluster is not None
        refs = EntityRefs(region=cluster.region, clock=cluster.clock, new_id=self.new_id)
        machine.refs = TypedRefs(refs, self.plant.types)

    async def _serve(self, machine: Machine, request: bytes) -> bytes:
        process = machine.process
        if process.dead or machine.host.cluster is None:
            raise HostUnreachable(f"{machine.actor_name} is not there")
        task = process.spawn(machine.host.exchange(request), "exchange")
        await asyncio.wait([task, process.death], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise HostUnreachable(f"{machine.actor_name} died")
        return task.result()

    async def _opened(self, link: StoreLink) -> Stores:
        return self._open(link)

    def _open(self, link: StoreLink) -> Stores:
        return self.plant.stores(
            open_memory_stores(
                self.now_ms,
                tables=self.tables,
                seams=link,
                fencing=self.plant.fencing,
                views_joined=self.plant.views_joined,
            )
        )

    def _ports(self, stores: Stores, transport: Transport, monotonic: Callable[[], float]) -> ClusterPorts:
        return ClusterPorts(
            store=stores.ownership,
            transport=transport,
            new_id=self.new_id,
            settings=CLUSTER,
            monotonic=monotonic,
            lease_judge=self.plant.lease_judge,
        )

    def kill(self, machine: Machine) -> None:
        self.note(f"kill {machine.actor_name}")
        machine.process.kill()
        self.network.kill(machine.actor_name)
        if self.machines.get(machine.name) is machine:
            del self.machines[machine.name]
        self.graves.append(machine)

    @property
    def alive(self) -> list[Machine]:
        """Every process that was not killed, also those that were replaced while they live."""
        return [machine for machine in (*self.machines.values(), *self.graves) if not machine.process.dead]

    async def stop(self, machine: Machine) -> None:
        """Hand everything on and leave; whoever does not get that far within 30 s is killed."""
        self.note(f"stop {machine.actor_name}")
        stopping = machine.process.spawn(machine.host.stop(), "stop")
        await asyncio.wait([stopping, machine.process.death], timeout=30, return_when=asyncio.FIRST_COMPLETED)
        if not machine.process.dead:
            self.kill(machine)

    def freeze(self, machine: Machine) -> None:
        self.note(f"freeze {machine.actor_name}")
        machine.process.freeze()

    def thaw(self, machine: Machine, *, input_first: bool = True) -> None:
        self.note(f"thaw {machine.actor_name}")
        machine.process.thaw(input_first=input_first)
        for told in self.on_thaw:
            told()

    def cut_off(self, machine: Machine) -> None:
        self.note(f"cut {machine.actor_name} off from the stores")
        machine.link.cut = asyncio.Event()

    def reconnect(self, machine: Machine) -> None:
        if machine.link.cut is not None:
            self.note(f"reconnect {machine.actor_name}")
            cut, machine.link.cut = machine.link.cut, None
            cut.set()

    # --- the catalog -------------------------------------------------------------------------------

    async def save_product(self, product_id: str, prices: dict[str, int], version: int) -> None:
        """Version `version` of a product, with each of its SKUs at that price version."""
        variants = tuple(
            VariantRecord(sku=sku, options={}, price_minor=price, price_version=version)
            for sku, price in prices.items()
        )
        product = ProductRecord(
            id=product_id, name=product_id, description="", brand="", currency="USD", categories=(), attributes={},
            images=(), variants=variants, version=version, created_at_ms=EPOCH_MS, updated_at_ms=self.now_ms(),
        )  # fmt: skip
        await self.stores.catalog.save_product(product, version - 1, [])

    def prices_of(self, sku: str) -> list[PriceRecord]:
        return self.tables.catalog.prices[sku]
