"""Reads what entities wake up with: a state row, a cart, or a snapshot with the journal's tail.

first command ──► entity (LOADING) ──► loader: one query for all that wait ──► fold ──► active
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from actors.runtime.entity_type import Checkpoint, EntityType
from actors.runtime.host_services import HostServices
from actors.runtime.lifecycle import LOADING
from actors.runtime.permits import Permits
from cluster.errors import ClusterError
from persistence.errors import StoreError
from persistence.ports import Journal
from persistence.records import JournalEvent, SnapshotRow

if TYPE_CHECKING:
    from actors.runtime.entity import Entity
    from actors.runtime.shard import Shard
from actors.runtime.shard_journal import ShardJournal

log = structlog.get_logger(__name__)
Result = TypeVar("Result")
Group = tuple[str, "Shard | None"]
"""Entity type, and the shard for those whose query is by shard."""


class ActivationLoader:
    """Loads entities: while one query of a group is in flight, those that come wait for the next, together.

    At most `recovery_permits` entities of the host are being loaded at once.
    """

    def __init__(self, host: HostServices) -> None:
        self._host = host
        self._permits = Permits(host.settings.recovery_permits)
        self._waiting: dict[Group, list[Entity]] = {}

    def request(self, entity: "Entity") -> None:
        """Load it with the next query of its group, then `activate` it. If that fails it is dropped."""
        by_shard = entity.type.checkpoint is Checkpoint.SNAPSHOT
        group = (entity.type.name, entity.shard if by_shard else None)
        waiting = self._waiting.get(group)
        if waiting is not None:
            waiting.append(entity)
            return
        self._waiting[group] = [entity]
        self._host.tasks.spawn(self._run(group), f"load {group[0]}")

    async def _run(self, group: Group) -> None:
        shard = group[1]
        if shard is not None:
            for journal in shard.journals.values():
                await journal.tail_read.wait()  # before any permit is taken; set when the shard stops, too
        while waiting := self._waiting[group]:
            taken = await self._permits.take(len(waiting))
            batch = [entity for entity in waiting[:taken] if entity.phase is LOADING]
            del waiting[:taken]
            try:
                if batch:
                    await self._load(batch)
            except StoreError as error:
                self._give_up(batch, ClusterError(f"the store could not be read: {error}"))
            except Exception:  # a bug in loading: whoever waits must not wait for ever
                log.exception("entity.load_failed", entity_type=group[0])
                self._give_up(batch, ClusterError("the entity could not be read"))
            finally:
                self._permits.give(taken)
        del self._waiting[group]

    def _give_up(self, batch: "list[Entity]", error: ClusterError) -> None:
        for entity in batch:
            if entity.phase is LOADING:
                entity.shard.drop(entity, error, error)

    async def _load(self, batch: "list[Entity]") -> None:
        type_, stores = batch[0].type, self._host.stores
        ids = [entity.id for entity in batch]
        match type_.checkpoint:
            case Checkpoint.STATE_ROW:
                rows = await self._patiently(lambda: load_rows(type_, self._host, ids))
                for entity in batch:
                    self._activate(entity, _fold_row, rows.get(entity.id))
            case Checkpoint.COMPARE_AND_SET:
                carts = await self._patiently(lambda: stores.carts.load(ids))
                for entity in batch:
                    self._activate(entity, _fold_row, carts.get(entity.id))
            case Checkpoint.SNAPSHOT:
                shard = batch[0].shard
                assert type_.service is not None
                journal = shard.journals[type_.service]
                found = await self._patiently(lambda: stores.stock.snapshots(shard.number, ids))
                snapshots = {(row.entity_type, row.entity_id): row for row in found}
                for entity in batch:
                    tail = await self._tail_of(entity, journal)
                    self._activate(entity, _fold_tail, (snapshots.get(entity.key), tail))

    async def _tail_of(self, entity: "Entity", journal: "ShardJournal") -> list[JournalEvent]:
        tail = journal.tail.pop(entity.key, None)
        if tail is not None:
            return tail
        first_seq = journal.low_water.of(entity.key)
        if first_seq is None:
            return []
        # It was dropped from memory: its events since its snapshot are in the journal alone.
        source, number, last_seq = self._host.stores.journals[journal.service], entity.shard.number, journal.seq
        page = self._host.settings.scan_page_events
        return [
            event
            async for event in scan(source, number, first_seq, last_seq, page)
            if (event.entity_type, event.entity_id) == entity.key
        ]

    def _activate(self, entity: "Entity", fold: "Callable[[Entity, Any], None]", stored: Any) -> None:
        if entity.phase is not LOADING:
            return
        try:
            fold(entity, stored)
        except Exception:  # the border to pure code: a state that cannot be read stops this entity alone
            log.exception("entity.unreadable", entity=entity.key)
            error = ClusterError("the entity could not be read")
            entity.shard.drop(entity, error, error)

    async def _patiently(self, query: Callable[[], Awaitable[Result]]) -> Result:
        """Run a query again for a while if it fails: a read has no outcome to be unknown."""
        settings, loop = self._host.settings, asyncio.get_running_loop()
        give_up_s = loop.time() + settings.load_retry_budget_ms / 1e3
        while True:
            try:
                return await query()
            except StoreError:
                if loop.time() >= give_up_s:
                    raise
            await asyncio.sleep(settings.recovery_retry_ms / 1e3)


async def load_rows(type_: EntityType, host: HostServices, ids: list[str]) -> dict[str, Any]:
    """The state rows that exist, by entity id."""
    assert type_.load is not None, f"{type_.name} has state rows: it needs `load`"
    return await type_.load(host.stores, ids)


async def scan(
    journal: Journal, shard: int, first_seq: int, last_seq: int, page_events: int
) -> AsyncIterator[JournalEvent]:
    """The events of one shard from `first_seq` to `last_seq`, both included, a page at a time."""
    after = first_seq - 1
    while after < last_seq:
        page = await journal.read(shard, after, min(page_events, last_seq - after))
        if not page:
            return
        for event in page:
            yield event
        after = page[-1].seq


def _fold_row(entity: "Entity", row: Any) -> None:
    """From a state row or a cart; None: it was never seen."""
    type_ = entity.type
    if row is None:
        entity.activate(type_.initial(entity.id), 0)
        return
    seqs = row.seqs if type_.checkpoint is Checkpoint.STATE_ROW else ()
    entity.activate(type_.decode_state(row.state), row.version, last_seq=seqs[-1] if seqs else 0, seqs=seqs)


def _fold_tail(entity: "Entity", stored: tuple[SnapshotRow | None, list[JournalEvent]]) -> None:
    """From a snapshot and the events after it. Raises `ValueError` for a gap."""
    type_, (snapshot, tail) = entity.type, stored
    assert type_.service is not None
    if snapshot is None:
        state, version, seq = type_.initial(entity.id), 0, 0
    else:
        state, version, seq = type_.decode_state(snapshot.state), snapshot.version, snapshot.seq
    first_after = None
    for event in tail:
        if event.version <= version:
            continue
        if event.version != version + 1:
            raise ValueError(f"{entity.key}: event {event.version} follows version {version}")
        state = type_.apply(state, type_.events.decode(event.type, event.schema_version, event.body))
        version, seq = event.version, event.seq
        first_after = first_after or event.seq
    low_water = entity.shard.journals[type_.service].low_water
    if first_after is None:
        low_water.release(entity.key)
    else:
        low_water.move(entity.key, first_after)
    entity.activate(state, version, last_seq=seq)
