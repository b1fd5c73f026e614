"""A shard host with the platform's entities in it: stores, lease, ownership, runtime, prices and gateway, put together.

Knows no Ray: the actor (`shard_host_actor.py`), a co-located replica and the tests wrap this same object.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from actors.cart_expiry import CartExpiry
from actors.gateway.port import PaymentGateway
from actors.gateway.sandbox import SandboxGateway
from actors.host_metrics import register_host
from actors.price_book import PriceBook
from actors.registry import ENTITY_TYPES
from actors.runtime.entity_type import EntityType
from actors.runtime.host_runtime import HostRuntime
from actors.runtime.performer import LocalDelivery, RegionPerformer
from actors.runtime.planted_bugs import NO_BUGS, PlantedBugs
from actors.runtime.settings import RuntimeSettings
from actors.unique_ids import new_id
from cluster.entity_ref import EntityRefs
from cluster.hashing import shard_of
from cluster.host import ClusterHost, ClusterPorts
from cluster.host_reports import pack_families
from cluster.membership import HostIdentity
from cluster.observability import ClusterMetrics
from cluster.shard_runtime import HostContext
from cluster.tracing import stop_tracing, tracing
from cluster.transport import Transport
from persistence.stores import Stores


def _monotonic_ms() -> float:
    return time.monotonic() * 1e3


@dataclass(frozen=True, slots=True, kw_only=True)
class HostParts:
    """What a host is made of besides its stores; the defaults are the real ones."""

    transport: Transport
    types: Mapping[str, EntityType] = field(default_factory=lambda: ENTITY_TYPES)
    runtime: RuntimeSettings = field(default_factory=RuntimeSettings)
    planted: PlantedBugs = NO_BUGS
    monotonic_ms: Callable[[], float] = _monotonic_ms
    gateway: Callable[[Stores, Callable[[], int]], PaymentGateway] = lambda stores, now_ms: SandboxGateway(
        stores.ledger, now_ms
    )
    ports: Callable[[Stores, Transport], ClusterPorts] = lambda stores, transport: ClusterPorts(
        store=stores.ownership, transport=transport, new_id=new_id
    )


class PlatformHost:
    """One host. `start` returns when it is a member; its shards come by and by. `stop` hands them on."""

    def __init__(
        self,
        *,
        open_stores: Callable[[], Awaitable[Stores]],
        parts: HostParts,
        identity: HostIdentity,
        incarnation: str,
    ) -> None:
        self._open_stores = open_stores
        self._parts = parts
        self._identity = identity
        self._incarnation = incarnation
        self._stores: Stores | None = None
        self._expiry: CartExpiry | None = None
        self._gateway: PaymentGateway | None = None
        self._registry = CollectorRegistry()
        self.cluster: ClusterHost | None = None
        self.runtime: HostRuntime | None = None

    async def start(self) -> None:
        """Open the stores, join, begin to own shards."""
        self._stores = stores = await self._open_stores()
        ports = self._parts.ports(stores, self._parts.transport)
        ports = replace(ports, metrics=ClusterMetrics(self._registry))
        self.cluster = ClusterHost(
            ports=ports,
            journals=stores.journals,
            identity=self._identity,
            first_incarnation=self._incarnation,
            runtime=lambda context: self._build_runtime(context, stores, ports),
        )
        await self.cluster.start()
        assert self.runtime is not None
        register_host(self._registry, self.runtime)
        self._expiry = CartExpiry(stores.carts, self.runtime, self.cluster.clock, ports.settings.shard_count)
        self._expiry.start()

    def _build_runtime(self, context: HostContext, stores: Stores, ports: ClusterPorts) -> HostRuntime:
        refs = EntityRefs(region=context.region, clock=context.clock, new_id=ports.new_id)
        self._gateway = gateway = self._parts.gateway(stores, lambda: context.clock.now().earliest_ms)
        prices = PriceBook(stores.catalog, self._parts.monotonic_ms)

        def performer_for(local: LocalDelivery) -> RegionPerformer:
            return RegionPerformer(
                refs=refs,
                types=self._parts.types,
                prices=prices,
                gateway=gateway,
                settings=self._parts.runtime,
                local=local,
            )

        self.runtime = HostRuntime(
            types=self._parts.types.values(),
            stores=stores,
            clock=context.clock,
            may_answer=context.may_answer,
            shard_of=partial(shard_of, shard_count=ports.settings.shard_count),
            performer_for=performer_for,
            settings=self._parts.runtime,
            planted=self._parts.planted,
        )
        return self.runtime

    async def exchange(self, request: bytes) -> bytes:
        """One exchange of a client; see `cluster.exchange_server`."""
        assert self.cluster is not None, "the host has not started"
        return await self.cluster.exchange(request)

    def describe(self) -> dict[str, Any]:
        """What the host is and carries, as plain data."""
        assert self.cluster is not None, "the host has not started"
        assert self.runtime is not None
        return {
            "host": self._identity.host,
            "incarnation": self.cluster.membership.incarnation,
            **msgspec.to_builtins(self.runtime.describe()),
        }

    def metrics(self) -> bytes:
        """What the host counts, as `cluster.host_reports.unpack_families` reads it."""
        return pack_families(self._registry)

    async def drain(self) -> None:
        """Hand every shard on."""
        assert self.cluster is not None, "the host has not started"
        await self.cluster.ownership.stop()

    async def stop(self) -> None:
        """Hand on every shard, leave, and close what is open."""
        if self._expiry is not None:
            await self._expiry.stop()
        if self.cluster is not None:
            await self.cluster.stop()
        if self.runtime is not None:
            await self.runtime.close()
        if self._gateway is not None:
            await self._gateway.close()
        if self._stores is not None:
            await self._stores.close()
        if tracing():
            await asyncio.to_thread(stop_tracing)

    async def kill(self) -> None:
        """End as `kill -9` would, for tests: nothing is flushed, handed on or told."""
        if self._expiry is not None:
            await self._expiry.stop()
        if self.runtime is not None:
            await self.runtime.close()
        if self.cluster is not None:
            await self.cluster.kill()
