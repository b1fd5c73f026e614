"""The runtime of one host: every shard it owns, behind the interface that sharding asks for.

deliver ──► shard ──► entity ──► committer ──► store        rounds (every 100 ms): deadlines, due times,
   ▲                    │  ▲                                snapshots, one shard's idle entities
   └──── answer ◄───────┘  └── saga ──► performer ──► region, prices, gateway
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
import structlog

from actors.runtime import parking
from actors.runtime.activation import ActivationLoader
from actors.runtime.cart_commit import CartCommitter
from actors.runtime.deadlines import DeadlineWheel
from actors.runtime.delivery import Answer, encode_reply
from actors.runtime.entity_type import EntityType
from actors.runtime.group_commit import JournalWriter
from actors.runtime.host_services import HostServices, Kind
from actors.runtime.passivation import Passivator
from actors.runtime.performer import LocalDelivery, Performer
from actors.runtime.planted_bugs import NO_BUGS, PlantedBugs
from actors.runtime.recovery import ShardRecovery
from actors.runtime.saga_runner import SagaRunner
from actors.runtime.settings import RuntimeSettings
from actors.runtime.shard import Shard, ShardPhase
from actors.runtime.snapshots import Snapshotter
from actors.runtime.traces import traced_delivery
from cluster.clock import Clock
from cluster.envelope import Envelope, ReplyEnvelope
from cluster.errors import ClusterError, DeadlineExceeded, NotMine
from cluster.reply_codes import fault_reply
from cluster.shard_runtime import OnLost
from cluster.tracing import tracing
from persistence.records import Head, JournalService
from persistence.stores import Stores

log = structlog.get_logger(__name__)


class CommitterDescription(msgspec.Struct, frozen=True, kw_only=True):
    """One writer: `events_in_last` of its newest statement, totals since the start, writes in its queue."""

    statements: int
    events: int
    events_in_last: int
    queued: int


class HostDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What a host holds and does right now."""

    shards: tuple[int, ...]
    entities: int
    commands: int
    """Without an answer."""
    sagas_running: int
    sagas_queued: int
    timers: int
    committers: dict[str, CommitterDescription]


class HostRuntime:
    """Implements `cluster.shard_runtime.ShardRuntime`.

    Guarantees: no answer and no effect leaves before the commit it rests on; a command whose fate is not known is
    answered so; whatever is full says `Overloaded` before anything ran. Make it inside a running loop, or let the
    first `start` begin its tasks; end it with `close`.
    """

    def __init__(
        self,
        *,
        types: Iterable[EntityType],
        stores: Stores,
        clock: Clock,
        may_answer: Callable[[], bool],
        shard_of: Callable[[str], int],
        performer_for: Callable[[LocalDelivery], Performer],
        settings: RuntimeSettings | None = None,
        planted: PlantedBugs = NO_BUGS,
    ) -> None:
        self.on_lost: OnLost = lambda shard, epoch: log.error("shard.lost", shard=shard, epoch=epoch)
        settings = settings or RuntimeSettings()
        self._shard_of = shard_of
        self._shards: dict[int, Shard] = {}
        self._started = False
        self._to_sweep: list[int] = []
        self._sweep_debt = 0.0
        self.services = host = HostServices(
            settings=settings,
            clock=clock,
            may_answer=may_answer,
            stores=stores,
            kinds={type_.name: Kind.of(type_) for type_ in types},
            wheel=DeadlineWheel(settings.wake_granularity_ms),
            planted=planted,
        )
        self._writers = {service: JournalWriter(journal, host) for service, journal in stores.journals.items()}
        self._carts = CartCommitter(stores.carts, host)
        self._sagas = SagaRunner(host, performer_for(self))
        host.journal_committers = self._writers
        host.cart_committer = self._carts
        host.loader = ActivationLoader(host)
        host.sagas = self._sagas
        host.lose = self._lose
        self._recovery = ShardRecovery(host)
        self._snapshotter = Snapshotter(host)
        self._passivator = Passivator(host, self._snapshotter)

    # --- shards ----------------------------------------------------------------------------------

    async def start(self, shard: int, epoch: int, heads: Mapping[JournalService, Head]) -> None:
        """Serve a shard from now on; recovery goes on behind. `heads` are those that the fence returned."""
        self._begin()
        self.stop(shard)
        started = Shard(shard, epoch, heads, self.services)
        self._shards[shard] = started
        self._recovery.start(started)

    async def drain(self, shard: int) -> None:
        """Take nothing new, let what is in flight settle, flush, snapshot. At most three times `drain_settle_ms`."""
        draining = self._shards.get(shard)
        if draining is None:
            return
        settle_ms = self.services.settings.drain_settle_ms
        draining.drain()
        await draining.quiet(settle_ms)
        draining.cancel_sagas()
        await draining.quiet(settle_ms, writes_only=True)
        try:
            async with asyncio.timeout(settle_ms / 1e3):
                await self._passivator.save_changed(draining)
        except TimeoutError:
            log.warning("shard.drained_without_snapshots", shard=shard)

    def stop(self, shard: int) -> None:
        """Forget it at once: *outcome unknown* for those whose events were not seen durable, else *not mine*."""
        stopped = self._shards.pop(shard, None)
        if stopped is not None:
            stopped.stop()

    def _lose(self, shard: Shard) -> None:
        if shard.phase is ShardPhase.STOPPED:
            return
        shard.stop()
        if self._shards.get(shard.number) is shard:
            del self._shards[shard.number]
        log.warning("shard.lost", shard=shard.number, epoch=shard.epoch)
        self.on_lost(shard.number, shard.epoch)

    # --- deliveries ------------------------------------------------------------------------------

    def deliver(self, envelope: Envelope) -> "asyncio.Future[ReplyEnvelope]":
        """The reply, once all that it rests on is durable; faults are replies of kind `error`."""
        future: Answer = asyncio.get_running_loop().create_future()
        try:
            self._deliver(envelope, None, future, local=False)
        except ClusterError as error:
            future.set_result(fault_reply(envelope.message_id, error))
        return future

    def deliver_local(self, envelope: Envelope, command: Any) -> "asyncio.Future[Any]":
        """As `deliver`, for a caller in this process.

        The command and the reply are objects, nothing is encoded (`envelope.payload` is not looked at), and faults
        are raised.
        """
        future: Answer = asyncio.get_running_loop().create_future()
        try:
            self._deliver(envelope, command, future, local=True)
        except ClusterError as error:
            future.set_exception(error)
        return future

    def _deliver(self, envelope: Envelope, command: Any, future: Answer, *, local: bool) -> None:
        host = self.services
        number = self._shard_of(envelope.routing_key)
        shard = self._shards.get(number)
        if shard is None:
            raise NotMine(number)
        now = host.clock.now()
        settings = host.settings
        if now.latest_ms > envelope.not_after_ms:
            raise DeadlineExceeded("its time was over when it came")
        if envelope.not_after_ms > now.earliest_ms + settings.not_after_ahead_max_ms + settings.not_after_margin_ms:
            raise ClusterError("its deadline is too far away: a straggler of it could do harm")
        twin = shard.in_flight(envelope.message_id)
        if twin is not None and not host.planted.dedup_off:
            twin.join(future, local=local)
            return
        refusal = None if local or host.planted.dedup_off else host.refusals.of(envelope.message_id)
        if refusal is not None:
            payload = encode_reply(refusal)
            future.set_result(ReplyEnvelope(message_id=envelope.message_id, kind="ok", payload=payload))
            return
        kind = host.kinds.get(envelope.entity_type)
        if kind is None:
            raise ClusterError(f"no entity type {envelope.entity_type!r}")
        if kind.type.routing_key(envelope.entity_id) != envelope.routing_key:
            raise ClusterError("its routing key is not its entity's: there would be two of it")
        if not local:
            try:
                command = kind.decoder.decode(envelope.payload)
            except msgspec.DecodeError as error:  # validation errors are a kind of it
                raise ClusterError(f"not a command of {envelope.entity_type}: {error}") from error
        if envelope.traceparent and tracing():
            envelope = traced_delivery(envelope, command, future)
        shard.deliver(envelope, command, kind, future, now, local=local)

    # --- rounds ----------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._started:
            return
        self._started = True
        for committer in (*self._writers.values(), self._carts):
            committer.start()
        self.services.tasks.spawn(self._rounds(), "rounds")

    async def _rounds(self) -> None:
        pause_s = self.services.settings.wake_granularity_ms / 1e3
        loop, metrics = asyncio.get_running_loop(), self.services.metrics
        while True:
            began_s = loop.time()
            await asyncio.sleep(pause_s)
            metrics.round_lag_s = max(0.0, loop.time() - began_s - pause_s)
            try:
                self._round()
            except Exception:  # the top of the rounds: without them no deadline and no timer would be kept
                log.exception("rounds.failed")

    def _round(self) -> None:
        host = self.services
        now = host.clock.now()
        for delivery in host.wheel.due(now.latest_ms):
            parking.out_of_time(delivery.entity, delivery)
        # While so many sagas wait for their turn, waking more would only fill the memory: their time is not lost.
        wakes_left = host.settings.wakes_per_round_max - self._sagas.queued
        for shard in list(self._shards.values()):
            if shard.phase is not ShardPhase.RUNNING:
                continue
            for key in shard.timers.ring(now.earliest_ms, wakes_left):
                shard.ring(key, now)
                wakes_left -= 1
            self._snapshotter.maybe_start_round(shard)
        self._sweep()

    def _sweep(self) -> None:
        """A few shards a round, so that each is swept once in `passivate_sweep_ms`."""
        settings = self.services.settings
        self._sweep_debt += len(self._shards) * settings.wake_granularity_ms / settings.passivate_sweep_ms
        while self._sweep_debt >= 1:
            self._sweep_debt -= 1
            if not self._to_sweep:
                self._to_sweep = list(self._shards)
            shard = self._shards.get(self._to_sweep.pop()) if self._to_sweep else None
            if shard is not None and shard.phase is ShardPhase.RUNNING:
                self._passivator.sweep(shard)

    # --- the end, and a look inside ----------------------------------------------------------------

    async def close(self) -> None:
        """Stop every shard and every task. Drain first if the next owner should have nothing to recover."""
        for shard in list(self._shards):
            self.stop(shard)
        await self.services.tasks.close()
        self._started = False

    def describe(self) -> HostDescription:
        """For the admin pages and the metrics."""
        shards = self._shards.values()
        return HostDescription(
            shards=tuple(sorted(self._shards)),
            entities=sum(len(shard.entities) for shard in shards),
            commands=self.services.commands,
            sagas_running=self._sagas.running,
            sagas_queued=self._sagas.queued,
            timers=sum(len(shard.timers) for shard in shards),
            committers={
                committer.name: CommitterDescription(
                    statements=committer.statements,
                    events=committer.events,
                    events_in_last=committer.events_in_last,
                    queued=len(committer),
                )
                for committer in (*self._writers.values(), self._carts)
            },
        )
