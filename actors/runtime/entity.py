"""One entity: its state in memory, the commands that wait for it, and the answers that wait for the store.

                 activate                    passivated, shard stopped, write refused
    LOADING ────────────────► ACTIVE ─────────────────────────────────────────────────► GONE
       ▲                        │
       └────── reload ──────────┘   (compare-and-set lost: somebody else wrote it)

While ACTIVE a command is decided at once, on `working`, and its answer waits until the version it saw is durable:

    decide ──events──► working, version ahead ──commit──► committed_version == version ──► answers leave
       └────none─────► answer waits for `version` too, or leaves at once if that is durable and the lease holds
"""

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from actors.domain.decision import Parked
from actors.runtime import parking
from actors.runtime.delivery import Delivery
from actors.runtime.entity_type import EntityType
from actors.runtime.host_services import Committer, context_of
from actors.runtime.lifecycle import ACTIVE, GONE, LOADING, EntityGone, Phase
from actors.runtime.recording import record, remember
from actors.runtime.writes import Committed, Write, with_item
from cluster.clock import Interval
from cluster.errors import ClusterError, DeadlineExceeded, LeaseLost, OutcomeUnknown

if TYPE_CHECKING:
    from actors.runtime.saga_run import SagaRun
    from actors.runtime.shard import Shard

log = structlog.get_logger(__name__)
DECISIONS_ON_STALE_BASE_MAX = 1


class Entity:
    """An entity of any type, in memory.

    Guarantees: every delivery it accepts is answered once; no answer leaves before the events it saw are durable;
    events are handed to the committer in version order.
    Lists that are mostly empty are None then: there are 100,000 of these.
    """

    __slots__ = (
        "changed_from",
        "changes",
        "committed_version",
        "committer",
        "due_ms",
        "id",
        "key",
        "last_seq",
        "mailbox",
        "parked",
        "phase",
        "preloads",
        "saga",
        "saga_failures",
        "saga_retry",
        "seqs",
        "shard",
        "type",
        "urgent",
        "used_at_ms",
        "version",
        "waiting",
        "working",
    )

    def __init__(self, shard: "Shard", type_: EntityType, id_: str, committer: Committer) -> None:
        self.shard = shard
        self.type = type_
        self.id = id_
        self.key = (type_.name, id_)
        self.committer = committer
        self.phase: Phase = LOADING
        self.working: Any = None
        self.version = 0
        self.committed_version = 0
        self.last_seq = 0
        self.seqs: tuple[int, ...] = ()
        self.due_ms: int | None = None
        self.used_at_ms = 0
        self.mailbox: list[Delivery] | None = None
        self.urgent: list[Delivery] | None = None
        self.preloads: list[Delivery] | None = None
        self.parked: list[Delivery] | None = None
        self.waiting: list[tuple[int, Delivery, Any, bool, bool]] | None = None
        """(version seen, delivery, reply, replayed, whether it wrote events), in the order of decisions."""
        self.changes: list[asyncio.Future[Committed | None]] | None = None
        self.saga: SagaRun | None = None
        self.saga_failures = 0
        self.saga_retry: asyncio.TimerHandle | None = None
        self.changed_from: int | None = None
        """The first seq after the snapshot that is being written."""

    @property
    def queued(self) -> int:
        """Commands that are not decided for good."""
        return sum(map(len, filter(None, (self.mailbox, self.urgent, self.preloads, self.parked))))

    @property
    def idle(self) -> bool:
        """Nothing pending, nobody waiting, no unfinished work."""
        saga = self.type.saga
        return (
            self.phase is ACTIVE
            and self.version == self.committed_version
            and not (self.waiting or self.parked or self.preloads or self.changes)
            and self.saga is None
            and self.saga_retry is None
            and not (saga is not None and self.version > 0 and saga.in_flight(self.working))
        )

    # --- commands --------------------------------------------------------------------------------

    def accept(self, delivery: Delivery, now: Interval) -> None:
        """Decide it now, or keep it until that is possible."""
        self.used_at_ms = now.earliest_ms
        if self.phase is ACTIVE:
            type_ = self.type
            if type_.preload is not None and not delivery.preloaded and type_.prefers_preload(delivery.command):
                parking.preload_later(self, delivery)
            else:
                self.run(delivery, now)
            return
        if self.type.urgent(delivery.command):
            self.urgent = with_item(self.urgent, delivery)
        else:
            self.mailbox = with_item(self.mailbox, delivery)
        parking.watch(self, delivery)

    def run(self, delivery: Delivery, now: Interval) -> None:
        """Decide a command, if it may still run."""
        if now.latest_ms <= delivery.envelope.not_after_ms:
            self.decide(delivery, now)
        else:
            delivery.fail(DeadlineExceeded("its time was over before it was decided"))

    def decide(self, delivery: Delivery, now: Interval) -> None:
        """Decide on `working`; record the events; let the answer wait for them, or park the command."""
        context = context_of(delivery.envelope, now, self.shard.epoch)
        write: Write | None = None
        try:
            outcome = self.type.decide(self.working, delivery.command, context)
            if outcome.events:
                write = record(self, outcome, delivery, context)
        except Exception:  # the border to pure code: its bug fails this command alone, and nothing was changed
            log.exception("entity.decide_failed", **delivery.described)
            delivery.fail((OutcomeUnknown if delivery.touched else ClusterError)("it could not be decided"))
            return
        if write is not None:
            self.working, self.version, self.due_ms = write.state, write.version, write.due_ms
            self.shard.commit(write)
        if isinstance(outcome, Parked):
            if write is not None:
                delivery.wrote = delivery.touched = True
            parking.park(self, delivery, outcome, context)
            return
        if delivery.wrote and write is None:
            remember(self, delivery, outcome.reply, now.earliest_ms)
        self.reply(delivery, outcome.reply, replayed=outcome.replayed, wrote=write is not None)

    def reply(self, delivery: Delivery, reply: Any, *, replayed: bool = False, wrote: bool = False) -> None:
        """Give the answer once everything it saw is durable. The only way out for answers."""
        host = self.shard.host
        if self.version != self.committed_version and not host.planted.early(local=delivery.waiter[1]):
            entry = (self.version, delivery, reply, replayed, wrote)
            self.waiting = with_item(self.waiting, entry)
        elif wrote or host.may_answer():
            delivery.answer(reply, replayed=replayed)
        else:
            delivery.fail((OutcomeUnknown if delivery.touched else LeaseLost)("the lease may be over: no proof"))

    # --- life ------------------------------------------------------------------------------------

    def activate(self, state: Any, version: int, *, last_seq: int = 0, seqs: tuple[int, ...] = ()) -> None:
        """Its durable state was read: start deciding."""
        if self.phase is not LOADING:
            return
        self.phase = ACTIVE
        self.working, self.version, self.committed_version = state, version, version
        self.last_seq, self.seqs = last_seq, seqs
        self.shard.activated(self)
        self._changed(None)
        self.resume_if_unfinished()
        now = self.shard.host.clock.now()
        lanes = (*(self.urgent or ()), *(self.mailbox or ()))
        self.urgent = self.mailbox = None
        for delivery in lanes:
            self.shard.host.wheel.remove(delivery)
            self.accept(delivery, now)
        if self.parked:
            parking.redecide(self, now)

    def committed(self, state: Any, version: int, seq: int, seqs: tuple[int, ...]) -> None:
        """Everything up to `version` is durable: answers leave, parked commands look again."""
        self.committed_version = version
        self.last_seq = seq
        self.seqs = seqs
        waiting = self.waiting
        if waiting:
            ready = 0
            while ready < len(waiting) and waiting[ready][0] <= version:
                ready += 1
            self.waiting = waiting[ready:] if ready < len(waiting) else None
            for _, delivery, reply, replayed, _ in waiting[:ready]:
                delivery.answer(reply, replayed=replayed)
        self._changed(Committed(state, version, seq))
        self.resume_if_unfinished()
        if self.parked and self.saga is None:  # a running saga has them decided again after its step
            parking.redecide(self, self.shard.host.clock.now())

    def reload(self, undurable: ClusterError | None) -> None:
        """Somebody else wrote it, so what was decided here was decided on the wrong base, and was not written.

        Read it again and decide the pending commands once more.
        """
        waiting, self.waiting = self.waiting, None
        self.phase = LOADING
        self.working, self.version, self.committed_version = None, 0, 0
        self._changed(None)
        now = self.shard.host.clock.now()
        for _, delivery, _, _, wrote in waiting or ():
            delivery.payload = None
            if wrote and undurable is not None:
                delivery.fail(undurable)
                continue
            delivery.attempts += wrote
            if delivery.attempts > DECISIONS_ON_STALE_BASE_MAX:
                delivery.fail(OutcomeUnknown("the cart moved under this command twice"))
            else:
                self.accept(delivery, now)
        self.shard.host.loader.request(self)

    def close(self, undurable: ClusterError, other: ClusterError) -> None:
        """Leave memory.

        `undurable` goes to those whose events were not seen written, `other` to those that never ran; what a saga may
        have acted on is unknown.
        """
        self.phase = GONE
        if self.saga is not None:
            self.saga.cancel()
        if self.saga_retry is not None:
            self.saga_retry.cancel()
        for _, delivery, _, _, wrote in self.waiting or ():
            known = undurable if wrote else other
            delivery.fail(OutcomeUnknown("its work was interrupted") if delivery.touched else known)
        for delivery in self.parked or ():
            delivery.fail(OutcomeUnknown("its work was interrupted") if delivery.touched else other)
        for lane in (self.urgent, self.mailbox, self.preloads):
            for delivery in lane or ():
                delivery.fail(other)
        self.waiting = self.parked = self.urgent = self.mailbox = self.preloads = None
        changes, self.changes = self.changes, None
        for change in changes or ():
            if not change.done():
                change.set_exception(EntityGone(self.id))

    # --- what others wait for ----------------------------------------------------------------------

    def changed(self) -> asyncio.Future[Committed | None]:
        """The next commit; None if the state was (re)read instead. Raises `EntityGone`."""
        change: asyncio.Future[Committed | None] = asyncio.get_running_loop().create_future()
        if self.phase is GONE:
            change.set_exception(EntityGone(self.id))
        else:
            self.changes = with_item(self.changes, change)
        return change

    async def settled(self) -> Committed:
        """A durable state that includes all that is visible now. Raises `EntityGone`."""
        saw = self.version
        while True:
            if self.phase is ACTIVE and self.version == self.committed_version:
                return Committed(self.working, self.version, self.last_seq)
            commit = await self.changed()
            if commit is None:
                saw = 0
            elif commit.version >= saw:
                return commit

    def _changed(self, commit: Committed | None) -> None:
        if self.changes is None:
            return
        changes, self.changes = self.changes, None
        for change in changes:
            if not change.done():
                change.set_result(commit)

    def resume_if_unfinished(self) -> None:
        """Start the saga of a state with unfinished work, unless one runs or waits to be tried again."""
        saga = self.type.saga
        if saga is None or self.saga is not None or self.saga_retry is not None or self.phase is not ACTIVE:
            return
        if self.version > 0 and saga.in_flight(self.working):
            self.shard.host.sagas.resume(self)
