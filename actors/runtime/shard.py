"""One shard on its host: its entities, the ends of its journals, its timers.

    start ──► RUNNING ──drain──► DRAINING ──stop──► STOPPED
                 └────────stop, append lost───────────┘

RUNNING takes every envelope, DRAINING only what sagas ask (so that they can end), STOPPED none. A STOPPED shard
never comes back: after another claim a new one is made from fresh heads.
"""

import asyncio
from collections.abc import Mapping
from enum import Enum
from typing import Any

import structlog

from actors.domain.decision import Context
from actors.runtime.delivery import NO_BUCKET, Answer, Delivery
from actors.runtime.entity import Entity
from actors.runtime.entity_type import Checkpoint, EntityType
from actors.runtime.host_services import HostServices, Kind
from actors.runtime.lifecycle import ACTIVE, GONE, EntityGone
from actors.runtime.low_water import EntityKey
from actors.runtime.shard_journal import ShardJournal
from actors.runtime.timers import ShardTimers
from actors.runtime.writes import Committed, Write
from cluster.clock import Interval
from cluster.envelope import Envelope
from cluster.errors import ClusterError, NotMine, OutcomeUnknown, Overloaded
from cluster.tasks import TaskOwner
from persistence.records import Head, JournalService

log = structlog.get_logger(__name__)


class ShardPhase(Enum):
    """Drawn at the top."""

    RUNNING = "running"
    DRAINING = "draining"
    STOPPED = "stopped"


class Shard:
    """Guarantees: at most one object an entity; after `stop` nothing of it is written that was not sent before."""

    def __init__(self, number: int, epoch: int, heads: Mapping[JournalService, Head], host: HostServices) -> None:
        self.number = number
        self.epoch = epoch
        self.host = host
        self.phase = ShardPhase.RUNNING
        self.entities: dict[EntityKey, Entity] = {}
        self.journals = {service: ShardJournal(head, service) for service, head in heads.items()}
        self.timers = ShardTimers()
        self.tasks = TaskOwner()
        self.writes_open = 0
        """Writes that are neither durable nor lost."""
        self._in_flight: dict[str, Delivery] = {}
        self._open = 0
        self._quiet: asyncio.Future[None] | None = None
        self._quiet_writes_only = False

    # --- deliveries ------------------------------------------------------------------------------

    def deliver(
        self, envelope: Envelope, command: Any, kind: Kind, future: Answer, now: Interval, *, local: bool
    ) -> None:
        """Give a command to its entity. Raises `NotMine` or `Overloaded`; nothing ran then."""
        internal = bool(envelope.causation_id)
        if self.phase is not ShardPhase.RUNNING and not (internal and self.phase is ShardPhase.DRAINING):
            raise NotMine(self.number)
        host, settings = self.host, self.host.settings
        if host.commands >= settings.host_commands_max:
            accepted = internal or kind.type.urgent(command)  # what finishes accepted work has room of its own
            if not accepted or host.commands >= settings.host_internal_commands_max:
                raise Overloaded("the host's mailboxes are full")
        entity = self.entity(kind.type, envelope.entity_id)
        queued = entity.queued
        host.metrics.arrived(queued)
        if queued >= settings.mailbox_commands_max and not kind.type.urgent(command):
            raise Overloaded("the entity's mailbox is full")
        delivery = Delivery(self, entity, envelope, command, future, local=local)
        self._in_flight[envelope.message_id] = delivery
        self.took(delivery)
        entity.accept(delivery, now)

    def in_flight(self, message_id: str) -> Delivery | None:
        """The delivery of a message that has no answer yet."""
        return self._in_flight.get(message_id)

    def took(self, _delivery: Delivery) -> None:
        """One more command without an answer."""
        self.host.commands += 1
        self._open += 1

    def released(self, delivery: Delivery) -> None:
        """A command has its answer."""
        self.host.commands -= 1
        self._open -= 1
        if delivery.bucket != NO_BUCKET:
            self.host.wheel.remove(delivery)
        message_id = delivery.envelope.message_id
        if self._in_flight.get(message_id) is delivery:
            del self._in_flight[message_id]
        if self._quiet is not None:
            self._maybe_quiet()

    def refused(self, delivery: Delivery, reply: Any) -> None:
        """A command was refused: a copy of its message must be told the same."""
        envelope, latest_ms = delivery.envelope, self.host.clock.now().latest_ms
        self.host.refusals.note(envelope.message_id, envelope.not_after_ms, reply, latest_ms)

    # --- entities --------------------------------------------------------------------------------

    def entity(self, type_: EntityType, id_: str) -> Entity:
        """The entity, being loaded if it was not in memory (single flight: there is one object)."""
        key = (type_.name, id_)
        entity = self.entities.get(key)
        if entity is None:
            entity = Entity(self, type_, id_, self.host.committer(type_))
            self.entities[key] = entity
            self.host.loader.request(entity)
        return entity

    def activated(self, entity: Entity) -> None:
        """It was read: its due time, and what it needs of the journal."""
        type_, key = entity.type, entity.key
        entity.due_ms = type_.next_due(entity.working, self.timers.woken_ms.get(key, 0))
        if entity.due_ms is not None:
            self.timers.arm(key, entity.due_ms)
        saga = type_.saga
        if type_.checkpoint is Checkpoint.STATE_ROW and saga is not None and entity.version > 0:
            assert type_.service is not None
            marks = self.journals[type_.service].low_water
            if saga.in_flight(entity.working):
                marks.mark(key, next((seq for seq in entity.seqs if seq >= (marks.floor or 0)), entity.last_seq))
            elif key in marks and saga.unsettled(entity.working):
                self.host.sagas.resume(entity)  # it was found by a recovery, or dropped with its saga running
            else:
                marks.release(key)

    def saga_over(self, entity: Entity) -> None:
        """Its saga ended and nothing is in flight: it no longer holds the low-water mark."""
        type_ = entity.type
        if type_.checkpoint is Checkpoint.STATE_ROW and entity.version == entity.committed_version:
            assert type_.service is not None
            self.journals[type_.service].low_water.release(entity.key)

    def passivate(self, entity: Entity) -> None:
        """Take an idle entity, whose state is all in the store, out of memory."""
        entity.phase = GONE
        self._forget(entity)

    def drop(self, entity: Entity, undurable: ClusterError, other: ClusterError, *, queued: bool = True) -> None:
        """Take out an entity whose memory is not what the store has (`queued`: its writes may still be in a queue)."""
        self._forget(entity)
        if queued:
            entity.committer.forget_entity(entity)
        self.timers.forget_row(entity.key)
        entity.close(undurable, other)

    def revive_later(self, entity: Entity) -> None:
        """It was dropped with work unfinished: somebody must look at it again though nobody asks."""

        def revive() -> None:
            if self.phase is ShardPhase.RUNNING:
                self.entity(entity.type, entity.id)

        asyncio.get_running_loop().call_later(self.host.settings.saga_retry_max_ms / 1e3, revive)

    def _forget(self, entity: Entity) -> None:
        if self.entities.get(entity.key) is entity:
            del self.entities[entity.key]

    # --- writes ----------------------------------------------------------------------------------

    def commit(self, write: Write) -> None:
        """Hand it to the committer of its type."""
        self.writes_open += 1
        write.entity.committer.enqueue(write)

    def settled_writes(self, count: int) -> None:
        """So many writes are durable, or lost."""
        self.writes_open -= count
        if self._quiet is not None:
            self._maybe_quiet()

    # --- timers ----------------------------------------------------------------------------------

    def ring(self, key: EntityKey, now: Interval) -> None:
        """An entity's due time has come: wake it, as soon as it is in memory."""
        kind = self.host.kinds.get(key[0])
        if kind is None:
            log.error("timer.unknown_type", entity=key)
            return
        entity = self.entity(kind.type, key[1])
        if entity.phase is ACTIVE:
            self._wake(entity, now)
        else:
            entity.changed().add_done_callback(lambda change: self._wake_when_read(entity, change))

    def _wake_when_read(self, entity: Entity, change: "asyncio.Future[Committed | None]") -> None:
        if change.cancelled() or isinstance(change.exception(), EntityGone):
            if self.phase is ShardPhase.RUNNING:
                self.wake_later(entity)
        else:
            self._wake(entity, self.host.clock.now())

    def _wake(self, entity: Entity, now: Interval) -> None:
        if entity.saga is not None or entity.phase is not ACTIVE:
            self.wake_later(entity)
            return
        entity.due_ms = None
        try:
            since_ms = self.timers.woken_ms.get(entity.key, 0)
            begin = entity.type.wake(entity.working, since_ms, self._wake_context(entity, now))
            if begin is not None:
                self.host.sagas.wake(entity, begin, now)
                return  # `woken` is called when that saga is over
        except Exception:  # the border to pure code
            log.exception("entity.wake_failed", entity=entity.key)
            self.wake_later(entity)
            return
        self.woken(entity, now.earliest_ms)

    def _wake_context(self, entity: Entity, now: Interval) -> Context:
        return Context(
            earliest_ms=now.earliest_ms,
            latest_ms=now.latest_ms,
            command_id=f"wake:{entity.id}",
            not_after_ms=now.latest_ms + self.host.settings.decide_timeout_ms,
        )

    def wake_later(self, entity: Entity) -> None:
        """It could not be woken now."""
        self.timers.arm(entity.key, self.host.clock.now().earliest_ms + self.host.settings.wake_retry_ms)

    def woken(self, entity: Entity, at_ms: int) -> None:
        """The wake of `at_ms` is over: find the next due time, and write it if the row says something else."""
        if entity.phase is not ACTIVE:
            self.wake_later(entity)
            return
        entity.due_ms = due_ms = entity.type.next_due(entity.working, at_ms)
        if due_ms is None:
            self.timers.woken_ms.pop(entity.key, None)
        else:
            self.timers.woken_ms[entity.key] = at_ms
            # A due time that a wake did not move is tried again, not in a loop.
            soonest_ms = self.host.clock.now().earliest_ms + self.host.settings.wake_retry_ms
            self.timers.arm(entity.key, due_ms if due_ms > at_ms else soonest_ms)
        row = self.timers.row_after_wake(entity.key, due_ms)
        if row is not None:
            self.commit(Write(entity, version=entity.version, timer=row))

    # --- the end ---------------------------------------------------------------------------------

    def drain(self) -> None:
        """Take nothing new but what sagas ask."""
        if self.phase is ShardPhase.RUNNING:
            self.phase = ShardPhase.DRAINING

    def cancel_sagas(self) -> None:
        """Stop every saga where it is; the next owner resumes those that matter."""
        for entity in self.entities.values():
            if entity.saga is not None:
                entity.saga.cancel()

    async def quiet(self, timeout_ms: int, *, writes_only: bool = False) -> bool:
        """Wait until every command has its answer and every write its end. False if that takes too long."""
        self._quiet_writes_only = writes_only
        if self._is_quiet():
            return True
        self._quiet = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(self._quiet, timeout_ms / 1e3)
        except TimeoutError:
            return False
        finally:
            self._quiet = None
        return True

    def _is_quiet(self) -> bool:
        return self.writes_open == 0 and (self._quiet_writes_only or self._open == 0)

    def _maybe_quiet(self) -> None:
        if self._quiet is not None and self._is_quiet() and not self._quiet.done():
            self._quiet.set_result(None)

    def stop(self) -> None:
        """Forget everything at once; whoever waits learns what is known: that it may have run, or that it did not."""
        if self.phase is ShardPhase.STOPPED:
            return
        self.phase = ShardPhase.STOPPED
        self.tasks.cancel_all()
        for journal in self.journals.values():
            journal.tail_read.set()  # whoever waits for it sees that its entities are gone
        for committer in (*self.host.journal_committers.values(), self.host.cart_committer):
            committer.forget_shard(self)
        entities, self.entities = self.entities, {}
        for entity in entities.values():
            entity.close(OutcomeUnknown(f"shard {self.number} stopped before the commit"), NotMine(self.number))
