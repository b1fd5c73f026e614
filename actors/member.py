"""A member of the cluster that owns nothing and sends commands: an HTTP replica, a consumer, a tool."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from actors.refs import TypedRefs
from actors.registry import ENTITY_TYPES
from actors.unique_ids import new_id
from cluster.clock import DatabaseClock
from cluster.entity_ref import EntityRefs
from cluster.host import ClusterClient, ClusterPorts
from cluster.observability import ClusterMetrics
from cluster.transport import Transport
from persistence.stores import Stores


@dataclass(frozen=True, slots=True)
class DatabaseTime:
    """The cluster's clock as one number."""

    clock: DatabaseClock

    def now_ms(self) -> int:
        """The earliest possible time of the database, in ms since the epoch."""
        return self.clock.now().earliest_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """The way to the entities, and the time."""

    refs: TypedRefs
    clock: DatabaseTime


@asynccontextmanager
async def open_member(
    stores: Stores, transport: Transport, metrics: ClusterMetrics | None = None
) -> AsyncIterator[Member]:
    """A member, open as long as the context is. Waits until the database has said what time it is."""
    metrics = metrics or ClusterMetrics()
    ports = ClusterPorts(store=stores.ownership, transport=transport, new_id=new_id, metrics=metrics)
    client = ClusterClient(ports)
    await client.start()
    try:
        refs = EntityRefs(region=client.region, clock=client.clock, new_id=new_id)
        yield Member(refs=TypedRefs(refs, ENTITY_TYPES), clock=DatabaseTime(client.clock))
    finally:
        await client.stop()
