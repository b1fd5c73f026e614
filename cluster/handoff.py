"""Giving a running shard to another host in order: nothing that was accepted is lost or refused."""

import asyncio

import structlog

from cluster.gate import Phase, ShardGate
from cluster.membership import Membership
from cluster.observability import ClusterMetrics
from cluster.settings import ClusterSettings
from cluster.shard_runtime import ShardRuntime
from persistence.errors import StoreError
from persistence.ports import Ownership
from persistence.records import HostRow, ShardRow

log = structlog.get_logger(__name__)


class HandOff:
    """Stop accepting → settle (≤ 1 s) → flush → passivate → assign → answer *moved*."""

    def __init__(
        self,
        *,
        store: Ownership,
        membership: Membership,
        gate: ShardGate,
        runtime: ShardRuntime,
        settings: ClusterSettings,
        metrics: ClusterMetrics,
    ) -> None:
        self._store = store
        self._membership = membership
        self._gate = gate
        self._runtime = runtime
        self._settings = settings
        self._metrics = metrics

    async def settle(self, shard: int) -> None:
        """Hold new envelopes back, let what runs finish, stop the shard. Ends in MOVING, within the drain time-out."""
        self._gate.moving(shard)
        try:
            async with asyncio.timeout(self._settings.drain_timeout_ms / 1e3):
                await self._runtime.drain(shard)
        except TimeoutError:
            log.warning("handoff.drain_cut_off", shard=shard)
        finally:
            self._runtime.stop(shard)

    async def move(self, row: ShardRow, to: HostRow, incarnation: str) -> bool:
        """Give the shard to `to`. True: it is theirs, and *moved* is answered from here on.

        False: we do not know, and have to claim it again to find out; a shard that ran here is then still MOVING.
        Safe to cut off at any point: the row changes in one statement, and only at exactly this epoch.
        """
        if self._gate.slot(row.shard).phase is Phase.RUNNING:
            await self.settle(row.shard)
        try:
            moved = await self._store.hand_off(
                row.shard, self._membership.host, incarnation, row.epoch, to.host, to.incarnation
            )
        except StoreError as error:
            log.warning("handoff.unknown", shard=row.shard, to=to.host, error=repr(error))
            moved = False
        self._metrics.moves.labels("moved" if moved else "not-moved").inc()
        if moved:
            self._gate.absent(row.shard, to.host)
        return moved
