"""A host's lease: joining, renewing, burying others, and coming back as a new incarnation.

                 join ok                     renew: row gone
    outside ───────────────► member ──────────────────────────► outside   (on_lost: every shard stops at once)
       ▲  ╰─ fault: again ─╯   ╰─ renew ok / fault: again ─╯        │
       ╰────────────────────────── a new incarnation ◄──────────────╯

The row is the lease. Renewals run in the loop that serves: a loop that is stuck loses its lease.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from cluster.clock import Clock, ClockUnknown, Judge, by_latest
from cluster.observability import ClusterMetrics
from cluster.settings import ClusterSettings
from cluster.tasks import TaskOwner
from persistence.errors import StoreError
from persistence.ports import Ownership
from persistence.records import HostRow

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostIdentity:
    """Who a host is, whatever its incarnation. `host` is stable (`<node>-<i>`): its shards come back to it."""

    host: str
    node: str
    actor_name: str
    weight: float = 1.0


class Membership:
    """Keeps one host's lease, and buries hosts whose lease has run out.

    Guarantees: `may_answer()` is true only while the store cannot have let anybody bury this incarnation, with a
    margin, whatever the process was doing since. When the row is gone, `on_lost` runs before the host joins
    again, and never again does it act as the old incarnation. A host that could not renew, or renewed
    late, buries nobody until one TTL after its first success: others may have had the same trouble.
    """

    def __init__(
        self,
        *,
        store: Ownership,
        clock: Clock,
        identity: HostIdentity,
        new_incarnation: Callable[[], str],
        settings: ClusterSettings,
        metrics: ClusterMetrics,
        judge: Judge = by_latest,
    ) -> None:
        """Judge leases with `by_latest`; the simulation plants the bug of judging leases by the earliest time."""
        self._store = store
        self._clock = clock
        self._identity = identity
        self._new_incarnation = new_incarnation
        self._settings = settings
        self._metrics = metrics
        self._judge = judge
        self._tasks = TaskOwner()
        self._weight = identity.weight
        self._incarnation = ""
        self._answer_until_ms = 0  # database time; 0: no lease
        self._renewed_at_ms = 0  # latest database time of the last success
        self._bury_from_ms = 0
        self._failing = False
        self._renew_now = asyncio.Event()
        self.on_lost: Callable[[], None] = lambda: None
        self.on_change: Callable[[], None] = lambda: None
        """Called when this host joined, or buried another: rows are worth reading."""

    @property
    def host(self) -> str:
        """The stable name, whatever the incarnation."""
        return self._identity.host

    @property
    def incarnation(self) -> str:
        """The incarnation whose row we hold, or '' while we hold none."""
        return self._incarnation

    @property
    def weight(self) -> float:
        """The weight that renewals announce."""
        return self._weight

    def set_weight(self, weight: float) -> None:
        """Announce another weight, at once. 0 drains this host."""
        if weight != self._weight:
            self._weight = weight
            self._renew_now.set()

    def may_answer(self) -> bool:
        """Whether this host can still prove, by its lease, that it owns what it owns."""
        if not self._answer_until_ms:
            return False
        try:
            return self._judge(self._clock.now()) < self._answer_until_ms
        except ClockUnknown:
            return False

    async def start(self) -> None:
        """Join, however long it takes, then renew and bury in tasks. The clock must have been started."""
        await self._join()
        self._tasks.spawn(self._renew_loop(), "membership.renew")
        self._tasks.spawn(self._bury_loop(), "membership.bury")

    async def stop(self) -> None:
        """Stop and leave, so that nobody has to wait for the lease to run out. Shards must be stopped before."""
        await self._tasks.close()
        incarnation, self._incarnation, self._answer_until_ms = self._incarnation, "", 0
        if incarnation:
            try:
                async with asyncio.timeout(self._settings.lease_renew_timeout_ms / 1e3):
                    await self._store.leave(self.host, incarnation)
            except (StoreError, TimeoutError) as error:
                log.warning("membership.leave_failed", host=self.host, error=repr(error))

    def abandon(self) -> None:
        """End as a killed process does: no farewell, the row stays until its lease runs out."""
        self._tasks.cancel_all()
        self._incarnation, self._answer_until_ms = "", 0

    async def _join(self) -> None:
        incarnation = self._new_incarnation()
        settings = self._settings
        failed = False
        while True:
            row = HostRow(
                host=self.host,
                incarnation=incarnation,
                node=self._identity.node,
                actor_name=self._identity.actor_name,
                weight=self._weight,
                renewed_at_ms=0,
                expires_at_ms=0,
            )
            try:
                async with asyncio.timeout(settings.lease_renew_timeout_ms / 1e3):
                    joined = await self._store.join(row, settings.lease_ttl_ms)
                break
            except (StoreError, TimeoutError) as error:  # unknown: joining again replaces our own row
                failed = True
                log.warning("membership.join_failed", host=self.host, error=repr(error))
                await asyncio.sleep(settings.recovery_retry_ms / 1e3)
        self._incarnation = incarnation
        self._failing = False
        now_ms = self._succeeded(joined.expires_at_ms)
        self._bury_from_ms = now_ms + (settings.lease_ttl_ms if failed else settings.bury_after_join_ms)
        log.info("membership.joined", host=self.host, incarnation=incarnation)
        self.on_change()

    async def _renew_loop(self) -> None:
        interval_s = self._settings.lease_renew_interval_ms / 1e3
        loop = asyncio.get_running_loop()
        next_at = loop.time() + interval_s
        while True:
            try:
                async with asyncio.timeout_at(next_at):
                    await self._renew_now.wait()
            except TimeoutError:
                pass
            self._renew_now.clear()
            next_at = loop.time() + interval_s
            if not await self._renew():
                self._lost()
                await self._join()

    async def _renew(self) -> bool:
        """Renew once. False if the row is gone."""
        settings = self._settings
        try:
            async with asyncio.timeout(settings.lease_renew_timeout_ms / 1e3):
                expires = await self._store.renew(self.host, self._incarnation, self._weight, settings.lease_ttl_ms)
        except (StoreError, TimeoutError) as error:
            self._metrics.renewals.labels("failed").inc()
            self._failing = True
            log.warning("membership.renew_failed", host=self.host, error=repr(error))
            return True
        if expires is None:
            self._metrics.renewals.labels("gone").inc()
            return False
        self._metrics.renewals.labels("ok").inc()
        now = self._clock.now()
        late = now.latest_ms - self._renewed_at_ms > settings.lease_ttl_ms - settings.lease_margin_ms
        if late or self._failing:
            self._bury_from_ms = now.latest_ms + settings.lease_ttl_ms
        self._failing = False
        self._succeeded(expires)
        return True

    def _succeeded(self, expires_at_ms: int) -> int:
        self._answer_until_ms = expires_at_ms - self._settings.lease_margin_ms
        self._renewed_at_ms = self._clock.now().latest_ms
        return self._renewed_at_ms

    def _lost(self) -> None:
        log.error("membership.lost", host=self.host, incarnation=self._incarnation)
        self._metrics.rejoins.inc()
        self._incarnation, self._answer_until_ms = "", 0
        self.on_lost()

    async def _bury_loop(self) -> None:
        while True:
            await asyncio.sleep(self._settings.lease_renew_interval_ms / 2e3)
            if self._failing or not self.may_answer() or self._clock.now().earliest_ms < self._bury_from_ms:
                continue
            try:
                async with asyncio.timeout(self._settings.lease_renew_timeout_ms / 1e3):
                    await self._bury_expired()
            except (StoreError, TimeoutError) as error:
                log.warning("membership.bury_failed", host=self.host, error=repr(error))

    async def _bury_expired(self) -> None:
        for row in await self._store.hosts():
            if row.host == self.host and row.incarnation == self._incarnation:
                continue
            if row.expires_at_ms < self._clock.now().earliest_ms and await self._store.bury(
                row.host, row.incarnation, exit_reported=False
            ):
                self._buried(row.host, row.incarnation)

    async def report_exit(self, host: str, incarnation: str) -> bool:
        """Bury a host whose process's exit was reported by its own live raylet, whatever its lease says."""
        buried = await self._store.bury(host, incarnation, exit_reported=True)
        if buried:
            self._buried(host, incarnation)
        return buried

    def _buried(self, host: str, incarnation: str) -> None:
        log.warning("membership.buried", by=self.host, host=host, incarnation=incarnation)
        self._metrics.burials.inc()
        self.on_change()
