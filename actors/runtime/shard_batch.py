"""One shard's part of an append: seqs are given here, views are made of last versions, the low-water mark moves."""

from typing import TYPE_CHECKING, Any

import structlog

from actors.runtime.entity_type import Checkpoint, RowMeta
from actors.runtime.shard import Shard
from actors.runtime.writes import Write
from persistence.records import (
    IdempotencyRow,
    JournalService,
    NewEvent,
    ReturnRow,
    ShardBatch,
    TimerRow,
    ViewRow,
)

if TYPE_CHECKING:
    from actors.runtime.entity import Entity
    from actors.runtime.low_water import EntityKey

log = structlog.get_logger(__name__)


class EntityAppend:
    """What the batch does to one entity."""

    __slots__ = ("due_ms", "entity", "first_seq", "last_seq", "needs_journal", "seqs", "state", "version")

    def __init__(self, entity: "Entity") -> None:
        self.entity = entity
        self.state: Any = None
        self.version = 0
        self.due_ms: int | None = None
        self.first_seq = 0
        self.last_seq = 0
        self.seqs = entity.seqs
        self.needs_journal = False
        """Whether a new owner must find it by reading the journal."""

    def add(self, write: Write, after_seq: int) -> None:
        """The write's events get the seqs that follow."""
        count = len(write.events)
        if not self.first_seq:
            self.first_seq = after_seq + 1
        self.last_seq = after_seq + count
        self.state, self.version, self.due_ms = write.state, write.version, write.due_ms
        if self.entity.type.checkpoint is Checkpoint.STATE_ROW:
            self.seqs = (*self.seqs, *range(after_seq + 1, self.last_seq + 1))


class Unwritable(Exception):
    """An entity's row cannot be made: a bug in its pure code."""

    def __init__(self, entity: "Entity") -> None:
        super().__init__(entity.key)
        self.entity = entity


class ShardAppend:
    """A `ShardBatch` with what is to be done once it is written. Made anew for every try: seqs depend on it."""

    def __init__(self, shard: Shard, service: JournalService, writes: list[Write], *, too_far: bool) -> None:
        """Raises `Unwritable`. `too_far`: the planted bug that forgets sagas in flight."""
        self.shard = shard
        self.journal = shard.journals[service]
        self.items: dict[Entity, EntityAppend] = {}
        events: list[NewEvent] = []
        timers: dict[EntityKey, TimerRow] = {}
        returns: list[ReturnRow] = []
        idempotency: list[IdempotencyRow] = []
        seq = self.journal.seq
        for write in writes:
            entity = write.entity
            if write.events:
                item = self.items.get(entity)
                if item is None:
                    item = self.items[entity] = EntityAppend(entity)
                item.add(write, seq)
                seq = item.last_seq
                events.extend(write.events)
            if write.timer is not None:
                timers[entity.key] = write.timer
            if write.returns:
                returns.extend(write.returns)
            if write.idempotency is not None:
                idempotency.append(write.idempotency)
        self.seq = seq
        views = [view for item in self.items.values() if (view := self._view(item)) is not None]
        self.batch = ShardBatch(
            shard=shard.number,
            epoch=shard.epoch,
            expected_seq=self.journal.seq,
            low_water=seq + 1 if too_far else self._low_water(),
            events=tuple(events),
            views=tuple(views),
            timers=tuple(timers.values()),
            returns=tuple(returns),
            idempotency=tuple(idempotency),
        )

    def _view(self, item: EntityAppend) -> ViewRow | None:
        entity = item.entity
        type_ = entity.type
        try:
            item.needs_journal = _needs_journal(entity, item.state)
            if type_.view is None:
                return None
            whole = type_.checkpoint is Checkpoint.STATE_ROW
            return type_.view(
                item.state,
                RowMeta(
                    entity_id=entity.id,
                    shard=self.shard.number,
                    version=item.version,
                    seqs=item.seqs,
                    state=type_.encode_state(item.state) if whole else b"",
                ),
            )
        except Exception as error:  # the border to pure code: its bug must stop this entity alone
            log.exception("entity.view_failed", entity=entity.key)
            raise Unwritable(entity) from error

    def _low_water(self) -> int:
        marks = self.journal.low_water
        released: set[EntityKey] = set()
        first_added: int | None = None
        for item in self.items.values():
            if not item.needs_journal:
                released.add(item.entity.key)
            elif item.entity.key not in marks and first_added is None:
                first_added = item.first_seq
        return marks.lowest(self.seq + 1, released=released, first_added=first_added)

    def written(self) -> None:
        """It is durable: move on, then let the answers go."""
        shard, journal = self.shard, self.journal
        journal.seq = self.seq
        journal.events_since_round += len(self.batch.events)
        for item in self.items.values():
            key = item.entity.key
            # Asked again: a saga that ended while this was under way has let go of the mark already.
            if item.needs_journal and _needs_journal(item.entity, item.state):
                journal.low_water.mark(key, item.first_seq)
            else:
                journal.low_water.release(key)
            if item.entity.changed_from == 0:
                item.entity.changed_from = item.first_seq
            if item.due_ms is not None:
                shard.timers.arm(key, item.due_ms)
        for item in self.items.values():
            item.entity.committed(item.state, item.version, item.last_seq, item.seqs)


def _needs_journal(entity: "Entity", state: Any) -> bool:
    """SKUs until their next snapshot; others while their saga is unfinished."""
    if entity.type.checkpoint is Checkpoint.SNAPSHOT:
        return True
    saga = entity.type.saga
    return saga is not None and (entity.saga is not None or saga.in_flight(state))
