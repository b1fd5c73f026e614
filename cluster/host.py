"""One shard host, assembled: lease, ownership, door, exchange server and region around an entity runtime."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.clock import DatabaseClock, Judge, by_latest, monotonic_ms
from cluster.exchange_server import ExchangeServer
from cluster.gate import Phase
from cluster.membership import HostIdentity, Membership
from cluster.observability import ClusterMetrics
from cluster.ownership import ShardOwnership
from cluster.region import Region
from cluster.settings import ClusterSettings
from cluster.shard_runtime import HostContext, RuntimeFactory
from cluster.transport import Transport
from persistence.errors import OutcomeUnknown, StoreUnavailable
from persistence.ports import Journal, Ownership
from persistence.records import JournalService


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPorts:
    """What every member of the cluster needs from outside.

    `new_id` makes ids that never repeat in the cluster and grow with time (of two incarnations the greater is taken
    for the newer). `monotonic` and `lease_judge` are the seams of the simulation.
    """

    store: Ownership
    transport: Transport
    new_id: Callable[[], str]
    settings: ClusterSettings = field(default_factory=ClusterSettings)
    metrics: ClusterMetrics = field(default_factory=ClusterMetrics)
    monotonic: Callable[[], float] = monotonic_ms
    lease_judge: Judge = by_latest


def database_clock(ports: ClusterPorts) -> DatabaseClock:
    """A clock over the cluster's database."""
    return DatabaseClock(
        ports.store.now_ms,
        monotonic=ports.monotonic,
        interval_ms=ports.settings.clock_sample_interval_ms,
        timeout_ms=ports.settings.clock_sample_timeout_ms,
    )


def shard_region(ports: ClusterPorts, clock: DatabaseClock) -> Region:
    """A region that finds its way by the cluster's table."""
    return Region(
        store=ports.store,
        transport=ports.transport,
        clock=clock,
        new_id=ports.new_id,
        settings=ports.settings,
        metrics=ports.metrics,
    )


class ClusterHost:
    """A shard host without its process: the Ray shell, the tests and a co-located replica wrap this same object.

    `exchange(bytes) -> bytes` is its whole interface to the outside, `region` its way to other entities.
    """

    def __init__(
        self,
        *,
        ports: ClusterPorts,
        journals: Mapping[JournalService, Journal],
        identity: HostIdentity,
        first_incarnation: str,
        runtime: RuntimeFactory,
    ) -> None:
        """`first_incarnation` is the one in the actor's name; each later one is new."""
        incarnations = iter([first_incarnation])
        self._ports = ports
        self.clock = database_clock(ports)
        self.region = shard_region(ports, self.clock)
        self.membership = Membership(
            store=ports.store,
            clock=self.clock,
            identity=identity,
            new_incarnation=lambda: next(incarnations, None) or ports.new_id(),
            settings=ports.settings,
            metrics=ports.metrics,
            judge=ports.lease_judge,
        )
        self.runtime = runtime(
            HostContext(host=identity.host, clock=self.clock, region=self.region, may_answer=self.membership.may_answer)
        )
        self.ownership = ShardOwnership(
            store=ports.store,
            journals=journals,
            membership=self.membership,
            runtime=self.runtime,
            clock=self.clock,
            settings=ports.settings,
            metrics=ports.metrics,
        )
        self.region.attach_host(lambda: (identity.host, self.membership.incarnation), self.ownership.gate.deliver)
        self._server = ExchangeServer(self.ownership.gate.deliver, settings=ports.settings)

    async def exchange(self, request: bytes) -> bytes:
        """One exchange of a client; see `ExchangeServer`."""
        return await self._server.exchange(request)

    async def start(self) -> None:
        """Learn the time, join, begin to own shards. Raises `WriteRefused` if the store has another shard count."""
        await self.clock.start()
        await self._prepare()
        await self.membership.start()
        await self.ownership.start()
        await self.region.start()

    async def _prepare(self) -> None:
        settings = self._ports.settings
        while True:
            try:
                await self._ports.store.prepare(settings.shard_count)
            except (StoreUnavailable, OutcomeUnknown):
                await asyncio.sleep(settings.recovery_retry_ms / 1e3)
            else:
                return

    async def stop(self) -> None:
        """Hand on every shard (or flush it), leave, and stop."""
        await self.ownership.stop()
        await self.membership.stop()
        await self.region.stop()
        await self.clock.stop()

    async def drain(self) -> None:
        """Hand on every shard, or flush it if nobody can take it; the host stays a member with weight 0."""
        await self.ownership.drain()

    def describe(self) -> dict[str, Any]:
        """What this host is and carries, as plain data."""
        gate = self.ownership.gate
        return {
            "host": self.membership.host,
            "incarnation": self.membership.incarnation,
            "weight": self.membership.weight,
            "lease": self.membership.may_answer(),
            "shards": {phase.value: gate.in_phase(phase) for phase in Phase if phase is not Phase.ABSENT},
        }

    async def kill(self) -> None:
        """End as `kill -9` would: nothing is flushed, handed on or told; the lease runs out by itself."""
        self.membership.abandon()
        self.ownership.abandon()
        await self.region.stop()
        await self.clock.stop()


class ClusterClient:
    """A member that owns nothing and sends commands (an ingress replica)."""

    def __init__(self, ports: ClusterPorts) -> None:
        self.clock = database_clock(ports)
        self.region = shard_region(ports, self.clock)

    async def start(self) -> None:
        """Learn the time and the routes."""
        await self.clock.start()
        await self.region.start()

    async def stop(self) -> None:
        """Fail what is outstanding as unknown and stop."""
        await self.region.stop()
        await self.clock.stop()
