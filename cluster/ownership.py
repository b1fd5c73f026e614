"""Which shards this host serves: it compares the table with rendezvous hashing, claims, fences, and hands on."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import structlog

from cluster.clock import Clock
from cluster.fencing import Fence
from cluster.gate import Phase, ShardGate
from cluster.handoff import HandOff
from cluster.membership import Membership
from cluster.observability import ClusterMetrics
from cluster.reconcile import Plan, plan
from cluster.settings import ClusterSettings
from cluster.shard_runtime import ShardRuntime
from cluster.tasks import TaskOwner
from persistence.errors import StoreError
from persistence.ports import Journal, Ownership
from persistence.records import HostRow, JournalService, ShardRow

log = structlog.get_logger(__name__)


class ShardOwnership:
    """Owns the shards of one host, and is the only one to start, drain and stop them.

    Guarantees: a shard is started only with journals that were fenced, all of them, at the epoch of this
    incarnation's own claim. One recovery or hand-off at a time a shard. When the lease is lost, every shard
    stops in the same turn of the loop. A claim, fence or hand-off without an answer is repeated as a new claim,
    never believed.
    """

    def __init__(
        self,
        *,
        store: Ownership,
        journals: Mapping[JournalService, Journal],
        membership: Membership,
        runtime: ShardRuntime,
        clock: Clock,
        settings: ClusterSettings,
        metrics: ClusterMetrics,
    ) -> None:
        self._store = store
        self._membership = membership
        self._runtime = runtime
        self._settings = settings
        self._metrics = metrics
        self._own_weight = membership.weight
        self._fence = Fence(store=store, journals=journals, settings=settings, metrics=metrics)
        self.gate = ShardGate(
            runtime=runtime,
            clock=clock,
            may_answer=membership.may_answer,
            on_stranger=self.wake,
            shard_count=settings.shard_count,
            waiting_max=settings.gate_waiting_max,
        )
        self._hand_off = HandOff(
            store=store, membership=membership, gate=self.gate, runtime=runtime, settings=settings, metrics=metrics
        )
        self._permits = asyncio.Semaphore(settings.recoveries_max)
        self._tasks = TaskOwner()
        self._busy: dict[int, asyncio.Task[None]] = {}  # the recovery or hand-off of a shard
        self._locks: dict[int, asyncio.Lock] = {}
        self._doubted: dict[int, int] = {}  # epochs doubted while their recovery was still going on
        self._orphan_since_s: dict[int, float] = {}
        self._wake = asyncio.Event()
        self._draining = False
        self._heirs = False  # whether anybody else could take a shard, as of the last round
        runtime.on_lost = self.doubt
        membership.on_lost = self.lost_lease
        membership.on_change = self.wake

    def wake(self) -> None:
        """Look at the table soon (not sooner than the spacing of rounds allows)."""
        self._wake.set()

    async def start(self) -> None:
        """Begin to reconcile. The membership must have joined."""
        self._tasks.spawn(self._reconcile_loop(), "ownership.reconcile").add_done_callback(self._reconcile_ended)

    async def stop(self) -> None:
        """Drain, then stop."""
        await self.drain()
        await self._tasks.close()
        self.lost_lease()

    async def drain(self) -> None:
        """Hand everything on, or flush it if nobody can take it. Bounded by two drain time-outs; nothing is owned after it."""
        self._draining = True
        self._membership.set_weight(0.0)
        try:
            async with asyncio.timeout(2 * self._settings.drain_timeout_ms / 1e3):
                await self._empty()
        except TimeoutError:
            log.warning("ownership.stopped_with_shards", shards=self.gate.in_phase(Phase.RUNNING, Phase.MOVING))
        self.lost_lease()

    def abandon(self) -> None:
        """End as a killed process does."""
        self._tasks.cancel_all()
        self.lost_lease()

    def lost_lease(self) -> None:
        """Stop every shard at once: they are, or may be, another's."""
        for task in list(self._busy.values()):
            task.cancel()
        self._doubted.clear()
        self._orphan_since_s.clear()
        for shard in self.gate.in_phase(Phase.RECOVERING, Phase.RUNNING, Phase.MOVING):
            self._runtime.stop(shard)
            self.gate.absent(shard, None)
        self._metrics.shards_running.set(0)

    def doubt(self, shard: int, epoch: int) -> None:
        """An append of this epoch was refused or unanswered: claim again, which tells whether we still own it."""
        slot = self.gate.slot(shard)
        if slot.phase is Phase.RECOVERING:
            self._doubted[shard] = epoch
        elif slot.phase is Phase.RUNNING and slot.epoch == epoch:
            self._metrics.doubted_appends.inc()
            self._runtime.stop(shard)
            self._start_recovery(shard, at_least=epoch)
        # MOVING: the hand-off goes on; the next owner fences above us, whatever became of that append

    def reclaim(self, shard: int) -> None:
        """Stop a running shard and claim it anew."""
        self.doubt(shard, self.gate.slot(shard).epoch)

    def _reconcile_ended(self, loop: "asyncio.Task[None]") -> None:
        if not loop.cancelled() and loop.exception() is not None:  # a fault of ours: let others have the shards
            self._membership.abandon()
            self.lost_lease()

    # --- rounds ----------------------------------------------------------------------------------

    async def _reconcile_loop(self) -> None:
        settings = self._settings
        while True:
            if self._membership.may_answer():
                try:
                    async with asyncio.timeout(settings.claim_timeout_ms / 1e3):
                        await self.reconcile()
                except (StoreError, TimeoutError) as error:
                    log.warning("ownership.table_unread", host=self._membership.host, error=repr(error))
            await self._judge_fencing()
            await asyncio.sleep(settings.reconcile_spacing_ms / 1e3)
            try:
                async with asyncio.timeout((settings.reconcile_interval_ms - settings.reconcile_spacing_ms) / 1e3):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()

    async def reconcile(self) -> None:
        """One round: read the table, start what has to be done. Raises `StoreError`."""
        incarnation = self._membership.incarnation
        rows = await self._store.shards()  # before the hosts: an owner that joined between must not look dead
        hosts = await self._store.hosts()
        if not incarnation or incarnation != self._membership.incarnation:
            return
        self._heirs = any(host.weight > 0 and host.host != self._membership.host for host in hosts)
        now_s = asyncio.get_running_loop().time()
        patience_s = self._settings.orphan_patience_ms / 1e3
        served = {shard: self.gate.slot(shard).epoch for shard in self.gate.in_phase(Phase.RUNNING)}
        todo = plan(
            rows,
            hosts,
            (self._membership.host, incarnation),
            served=served,
            overdue=lambda shard: now_s - self._orphan_since_s.get(shard, now_s) >= patience_s,
            shard_count=self._settings.shard_count,
        )
        self._orphan_since_s = {shard: self._orphan_since_s.get(shard, now_s) for shard in sorted(todo.orphans)}
        self._carry_out(todo, incarnation)
        self._metrics.shards_running.set(len(served))

    def _carry_out(self, todo: Plan, incarnation: str) -> None:
        for row in todo.lost:
            if self.gate.slot(row.shard).phase is Phase.RUNNING:
                self._metrics.shards_lost.inc()
                self._runtime.stop(row.shard)
                self.gate.absent(row.shard, row.owner)
        for shard in () if self._draining else todo.claim:
            if shard not in self._busy and self.gate.slot(shard).phase is Phase.ABSENT:
                self._start_recovery(shard, at_least=0)
        in_motion = len(self.gate.in_phase(Phase.MOVING))
        for row, to in todo.hand_on:
            phase = self.gate.slot(row.shard).phase
            if phase is Phase.RECOVERING and self._membership.weight == 0:
                self._busy[row.shard].cancel()  # it cannot be recovered here: let another try
            elif row.shard in self._busy:
                continue
            if in_motion >= self._settings.hand_offs_max:
                break
            in_motion += 1
            self._occupy(row.shard, partial(self._move, row, to, incarnation), "move")

    def _occupy(self, shard: int, work: Callable[[], Awaitable[None]], name: str) -> None:
        lock = self._locks.setdefault(shard, asyncio.Lock())

        async def in_turn() -> None:
            async with lock:  # whatever was cancelled here before must have ended
                await work()

        task = self._tasks.spawn(in_turn(), f"ownership.{name}.{shard}")
        self._busy[shard] = task
        task.add_done_callback(lambda done: self._busy.pop(shard) if self._busy.get(shard) is done else None)

    # --- one shard -------------------------------------------------------------------------------

    def _start_recovery(self, shard: int, at_least: int) -> None:
        self.gate.recovering(shard)
        incarnation = self._membership.incarnation
        self._occupy(shard, lambda: self._recover(shard, at_least, incarnation), "recover")

    async def _recover(self, shard: int, at_least: int, incarnation: str) -> None:
        """Claim, fence and start, again and again until the shard runs here or is another's."""
        if self.gate.slot(shard).phase is not Phase.RECOVERING:
            return  # a hand-off that was about to begin when this was asked for had its turn first
        host = self._membership.host
        started_s = asyncio.get_running_loop().time()
        epoch = at_least
        try:
            async with self._permits:
                while True:
                    try:
                        claimed = await self._fence.claim(shard, host, incarnation, epoch)
                        if claimed is None:
                            break
                        epoch = claimed
                        heads = await self._fence.fence(shard, epoch)
                        if isinstance(heads, int):  # a head is above our claim: claim above it
                            epoch = heads
                            continue
                        await self._runtime.start(shard, epoch, heads)
                    except StoreError as error:
                        log.warning("ownership.recovery_failed", shard=shard, epoch=epoch, error=repr(error))
                        await asyncio.sleep(self._settings.recovery_retry_ms / 1e3)
                        continue
                    if self._doubted.pop(shard, -1) == epoch:
                        self._runtime.stop(shard)
                        continue
                    self.gate.running(shard, epoch)
                    self._metrics.takeovers.inc()
                    self._metrics.recovery_seconds.observe(asyncio.get_running_loop().time() - started_s)
                    return
        finally:
            if self.gate.slot(shard).phase is Phase.RECOVERING:  # refused, cancelled, or a fault of ours
                self._runtime.stop(shard)
                self.gate.absent(shard, None)
        if at_least:
            self._metrics.shards_lost.inc()

    async def _move(self, row: ShardRow, to: HostRow, incarnation: str) -> None:
        try:
            moved = await self._hand_off.move(row, to, incarnation)
            if not moved and self.gate.slot(row.shard).phase is Phase.MOVING:
                self.gate.recovering(row.shard)
                await self._recover(row.shard, row.epoch, incarnation)
        finally:
            if self.gate.slot(row.shard).phase is Phase.MOVING:  # a fault of ours: the next round looks at the row
                self.gate.absent(row.shard, None)

    # --- weight and farewell ---------------------------------------------------------------------

    async def _judge_fencing(self) -> None:
        able = await self._fence.able() and not self._draining
        self._membership.set_weight(self._own_weight if able else 0.0)

    async def _empty(self) -> None:
        while self.gate.in_phase(Phase.RUNNING, Phase.MOVING) and self._heirs:
            self.wake()
            await asyncio.sleep(self._settings.reconcile_spacing_ms / 1e3)
        self._tasks.cancel_all()
        running = self.gate.in_phase(Phase.RUNNING)
        step = self._settings.hand_offs_max
        for first in range(0, len(running), step):
            await asyncio.gather(*(self._flush(shard) for shard in running[first : first + step]))

    async def _flush(self, shard: int) -> None:
        if self.gate.slot(shard).phase is Phase.RUNNING:
            await self._hand_off.settle(shard)
            self.gate.absent(shard, None)
