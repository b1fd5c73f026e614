"""Snapshots of entities that are too hot for a state row.

Each time a shard has advanced 5,000 events, and before one leaves memory, every entity that changed since its last
snapshot gets one, so no recovery reads a longer tail. A snapshot is of a durable version, and the store checks
that the journal has reached its seq under our epoch.
"""

from collections.abc import Iterable

import structlog

from actors.runtime.entity import Entity
from actors.runtime.host_services import HostServices
from actors.runtime.lifecycle import ACTIVE, EntityGone
from actors.runtime.low_water import EntityKey
from actors.runtime.shard import Shard
from actors.runtime.shard_journal import ShardJournal
from actors.runtime.writes import Committed
from persistence.errors import StoreError
from persistence.records import SnapshotRow

log = structlog.get_logger(__name__)
SNAPSHOT_BYTES_AN_EVENT = 1_000
"""What a round may write for each event since the last one; of 29 MB (150,000 holds) one is made each 29,000 events."""
SETTLE_TRIES_MAX = 8
"""An entity that commits faster than it can be looked at is left for the next round."""


class Snapshotter:
    """Writes snapshots and lets go of the journal before them."""

    def __init__(self, host: HostServices) -> None:
        self._host = host

    def maybe_start_round(self, shard: Shard) -> None:
        """Start a round for each journal of the shard that has advanced enough."""
        for journal in shard.journals.values():
            enough = max(self._host.settings.snapshot_every_events, journal.snapshot_bytes // SNAPSHOT_BYTES_AN_EVENT)
            if journal.events_since_round < enough or journal.round_running:
                continue
            journal.round_running = True
            shard.tasks.spawn(self._round(shard, journal), f"snapshots {shard.number}")

    async def _round(self, shard: Shard, journal: ShardJournal) -> None:
        journal.events_since_round = journal.snapshot_bytes = 0
        try:
            await self.save(shard, journal, self.changed(journal))
        finally:
            journal.round_running = False

    def changed(self, journal: ShardJournal) -> list[EntityKey]:
        """The entities of a journal that changed since their last snapshot."""
        kinds = self._host.kinds
        return [key for key in journal.low_water.keys() if kinds[key[0]].snapshots]  # noqa: SIM118 - not a dict

    async def save(self, shard: Shard, journal: ShardJournal, keys: Iterable[EntityKey]) -> None:
        """Snapshot these entities, waking those that sleep. What cannot be saved now keeps its mark."""
        pending = list(keys)
        size = self._host.settings.snapshot_rows_max
        for start in range(0, len(pending), size):
            taken: list[tuple[Entity, Committed]] = []
            try:
                for key in pending[start : start + size]:
                    entity = shard.entity(self._host.kinds[key[0]].type, key[1])
                    commit = await self._durable(entity)
                    if commit is not None:
                        taken.append((entity, commit))
                await self._write(shard, journal, taken)
            finally:
                for entity, _ in taken:
                    entity.changed_from = None

    async def _durable(self, entity: Entity) -> Committed | None:
        """Its durable state of this very moment; what is written from now on is noted in `changed_from`."""
        if entity.changed_from is not None:
            return None  # another snapshot of it is being written
        if self._host.planted.snapshot_uncommitted and entity.phase is ACTIVE:
            commit = Committed(entity.working, entity.version, entity.last_seq)  # planted: may never be durable
            entity.changed_from = 0
            return commit
        try:
            for _ in range(SETTLE_TRIES_MAX):
                commit = await entity.settled()
                if commit.version == entity.committed_version and entity.changed_from is None:
                    entity.changed_from = 0
                    return commit
        except EntityGone:
            return None
        return None

    async def _write(self, shard: Shard, journal: ShardJournal, taken: list[tuple[Entity, Committed]]) -> None:
        rows = [
            SnapshotRow(
                entity_type=entity.type.name,
                entity_id=entity.id,
                shard=shard.number,
                seq=commit.seq,
                version=commit.version,
                state=entity.type.encode_state(commit.state),
            )
            for entity, commit in taken
            if commit.version > 0
        ]
        if not rows:
            return
        journal.snapshot_bytes += sum(len(row.state) for row in rows)
        try:
            saved = await self._host.stores.stock.save_snapshots(shard.number, shard.epoch, rows)
        except StoreError as error:
            log.warning("snapshots.not_saved", shard=shard.number, error=repr(error))
            return
        if not saved:
            log.warning("snapshots.refused", shard=shard.number, epoch=shard.epoch)
            return
        for entity, _ in taken:
            if shard.entities.get(entity.key) is not entity:
                continue  # dropped meanwhile: its successor does not report what it writes to this snapshot
            if entity.changed_from:
                journal.low_water.move(entity.key, entity.changed_from)
            else:
                journal.low_water.release(entity.key)
