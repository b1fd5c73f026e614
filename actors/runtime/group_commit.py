"""The writer of one service's journal: one append at a time for all shards of the host.

What becomes of an append:

    written            answers leave
    shard missing,     we may have been fenced, or the statement may yet run: the shard is lost. Its waiters learn
      no answer        *outcome unknown*, everything queued for it anywhere is dropped, the cluster claims it again
    unreachable        nothing was written: tried again for a while, then its waiters learn *unavailable*. Memory is
                       ahead of the journal by then, so the shard is lost too
    refused            nothing was written: each shard alone, then each entity of that shard alone, one after the
                       other, numbered anew each time. Only the offender is dropped, with its later writes

The rule of renumbering: a seq is given when a batch is made and counts once it is written, never before. So to
leave an entity out, or to send it later, shifts nothing that anybody has seen; and no entity has seen the
uncommitted events of another, since answers and effects wait for the commit. The offender's memory is dropped
and read again when it is needed.
"""

from actors.runtime.commit_queue import CommitQueue, log
from actors.runtime.entity import Entity
from actors.runtime.host_services import HostServices
from actors.runtime.lifecycle import GONE
from actors.runtime.shard import Shard, ShardPhase
from actors.runtime.shard_batch import ShardAppend, Unwritable
from actors.runtime.writes import Write
from cluster.errors import ClusterError
from persistence.errors import OutcomeUnknown, StoreUnavailable, WriteRefused
from persistence.ports import Journal

Groups = dict[Shard, list[Write]]


class JournalWriter(CommitQueue):
    """Guarantees: a decision is written whole and in order, or its waiters learn what is known of it."""

    def __init__(self, journal: Journal, host: HostServices) -> None:
        super().__init__(journal.service, host)
        self._journal = journal

    async def _commit(self, writes: list[Write]) -> None:
        groups: Groups = {}
        for write in writes:
            groups.setdefault(write.entity.shard, []).append(write)
        await self._append(groups)

    async def _append(self, groups: Groups) -> None:
        parts = self._parts(groups)
        if not parts:
            return
        try:
            written = await self._patiently(lambda: self._send(parts))
        except WriteRefused as error:
            log.error(
                "append.refused", service=self.name, shards=[part.shard.number for part in parts], error=str(error)
            )
            await self._one_by_one(groups, error)
        except OutcomeUnknown:
            for part in parts:
                self._host.lose(part.shard)
        except StoreUnavailable:
            for part in parts:
                self._unavailable(part)
        else:
            for part in parts:
                if part.shard.phase is ShardPhase.STOPPED:
                    continue  # its waiters were told already, and its memory is gone
                if (part.shard.number, part.shard.epoch) in written:
                    part.written()
                else:
                    self._host.lose(part.shard)

    async def _send(self, parts: list[ShardAppend]) -> frozenset[tuple[int, int]]:
        # A shard that stopped while the store was tried again is not sent any more.
        batches = [part.batch for part in parts if part.shard.phase is not ShardPhase.STOPPED]
        if not batches:
            return frozenset()
        written = await self._journal.append(batches)
        for batch in batches:
            if (batch.shard, batch.epoch) not in written:
                log.warning("append.fenced", service=self.name, shard=batch.shard, epoch=batch.epoch)
        return written

    def _parts(self, groups: Groups) -> list[ShardAppend]:
        """The batches of the shards that still run; entities whose rows cannot be made are dropped."""
        too_far = self._host.planted.low_water_too_far
        parts: list[ShardAppend] = []
        for shard, writes in groups.items():
            while shard.phase is not ShardPhase.STOPPED and (kept := _alive(writes)):
                try:
                    parts.append(ShardAppend(shard, self._journal.service, kept, too_far=too_far))
                except Unwritable as unwritable:
                    self._refuse(unwritable.entity)
                    continue
                break
        return parts

    async def _one_by_one(self, groups: Groups, error: WriteRefused) -> None:
        if len(groups) > 1:
            for shard, writes in groups.items():
                await self._append({shard: writes})
            return
        ((shard, writes),) = groups.items()
        by_entity: dict[Entity, list[Write]] = {}
        for write in _alive(writes):
            by_entity.setdefault(write.entity, []).append(write)
        if len(by_entity) == 1:
            log.error("append.offender", service=self.name, entity=next(iter(by_entity)).key, error=str(error))
            self._refuse(next(iter(by_entity)))
            return
        for own in by_entity.values():
            await self._append({shard: own})

    def _refuse(self, entity: Entity) -> None:
        refused = ClusterError("the store refused what this command wrote; nothing was written")
        entity.shard.drop(entity, refused, refused)
        if entity.key in entity.shard.journals[self._journal.service].low_water:
            entity.shard.revive_later(entity)

    def _unavailable(self, part: ShardAppend) -> None:
        """Nothing of this shard's queued writes was sent or will be: that much is known, and said."""
        unavailable = ClusterError("the store was not reached; nothing was written")
        entities = dict.fromkeys((*part.items, *self.queued_entities(part.shard)))
        self.forget_shard(part.shard)  # at once: the queue may be long, and entities many
        for entity in entities:
            part.shard.drop(entity, unavailable, unavailable, queued=False)
        self._host.lose(part.shard)


def _alive(writes: list[Write]) -> list[Write]:
    """Without those of entities that were dropped; a passivated one may still move its timer row."""
    return [write for write in writes if not write.events or write.entity.phase is not GONE]
