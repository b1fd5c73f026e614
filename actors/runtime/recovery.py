"""Takes over a shard: what its last owner left unfinished is found and goes on.

    shard starts ──► timers of each service ──► heap
                 └─► each journal, from its low-water mark ──► SKUs: tails, kept until they wake up
                                                          └──► others: who is in flight? activate, resume their sagas

Commands are served meanwhile: an entity waits only for what it is made of. Until all is found the low-water mark
stays where the last owner left it.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from actors.runtime.activation import load_rows, scan
from actors.runtime.entity_type import Checkpoint, EntityType
from actors.runtime.host_services import HostServices
from actors.runtime.lifecycle import ACTIVE, EntityGone
from actors.runtime.low_water import EntityKey
from actors.runtime.shard import Shard
from actors.runtime.shard_journal import ShardJournal
from persistence.errors import StoreError
from persistence.records import JOURNAL_SERVICES, JournalEvent

log = structlog.get_logger(__name__)


class ShardRecovery:
    """Runs in the background of a started shard, at most `recovery_scans_max` journals of a service at once.

    Tries for as long as the shard runs.
    """

    def __init__(self, host: HostServices) -> None:
        self._host = host
        self._scans = {service: asyncio.Semaphore(host.settings.recovery_scans_max) for service in JOURNAL_SERVICES}

    def start(self, shard: Shard) -> None:
        """Recover all its journals; ends by itself, or with the shard."""
        for journal in shard.journals.values():
            shard.tasks.spawn(self._recover(shard, journal), f"recover {journal.service} {shard.number}")

    async def _recover(self, shard: Shard, journal: ShardJournal) -> None:
        async with self._scans[journal.service]:
            await self._insist(shard, lambda: self._read_timers(shard, journal))
            await self._insist(shard, lambda: self._scan(shard, journal))

    async def _insist(self, shard: Shard, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
            except StoreError as error:
                log.warning("recovery.again", shard=shard.number, error=repr(error))
            else:
                return
            await asyncio.sleep(self._host.settings.recovery_retry_ms / 1e3)

    async def _read_timers(self, shard: Shard, journal: ShardJournal) -> None:
        shard.timers.recovered(await self._host.stores.journals[journal.service].timers(shard.number))

    async def _scan(self, shard: Shard, journal: ShardJournal) -> None:
        kinds = self._host.kinds
        types = {kind.type.name: kind.type for kind in kinds.values() if _needs_scan(kind.type, journal)}
        tail: dict[EntityKey, list[JournalEvent]] = {}
        found: dict[str, dict[str, int]] = {name: {} for name in types}
        first_seq, last_seq = journal.low_water.floor or 1, journal.seq
        if types:
            source, page = self._host.stores.journals[journal.service], self._host.settings.scan_page_events
            async for event in scan(source, shard.number, first_seq, last_seq, page):
                type_ = types.get(event.entity_type)
                if type_ is None:
                    continue
                if type_.checkpoint is Checkpoint.SNAPSHOT:
                    tail.setdefault((event.entity_type, event.entity_id), []).append(event)
                else:
                    found[event.entity_type].setdefault(event.entity_id, event.seq)
        if not journal.tail_read.is_set():
            self._keep_tail(journal, tail)
        wanted = [
            (types[name], await self._unfinished(types[name], journal, first_seqs))
            for name, first_seqs in found.items()
        ]
        journal.low_water.floor = None  # from here on the marks of those that were found hold it
        for type_, ids in wanted:
            await self._wake(shard, type_, journal, ids)

    @staticmethod
    def _keep_tail(journal: ShardJournal, tail: dict[EntityKey, list[JournalEvent]]) -> None:
        for key, events in tail.items():
            journal.low_water.mark(key, events[0].seq)
            journal.events_since_round += len(events)
        journal.tail = tail
        journal.tail_read.set()

    async def _unfinished(self, type_: EntityType, journal: ShardJournal, first_seqs: dict[str, int]) -> list[str]:
        """Those whose newest state is in flight, or whose last effects may have been lost with the old owner."""
        saga, ids, chunk = type_.saga, list(first_seqs), self._host.settings.recovery_permits
        unfinished: list[str] = []
        if saga is None:
            return unfinished
        for start in range(0, len(ids), chunk):
            rows = await load_rows(type_, self._host, ids[start : start + chunk])
            for id_, row in rows.items():
                try:
                    state = type_.decode_state(row.state)
                    wanted = saga.in_flight(state) or saga.unsettled(state)
                except Exception:  # the border to pure code: what cannot be read holds the mark, and stops no other
                    log.exception("recovery.unreadable", entity=(type_.name, id_))
                    wanted = True
                if wanted:
                    journal.low_water.mark((type_.name, id_), first_seqs[id_])
                    unfinished.append(id_)
        return unfinished

    async def _wake(self, shard: Shard, type_: EntityType, journal: ShardJournal, ids: list[str]) -> None:
        """Activate them: what is marked resumes by itself then.

        What was active before it was marked, and is merely unsettled, is resumed here.
        """
        saga, settings = type_.saga, self._host.settings
        pause_ms = settings.recovery_retry_ms
        while ids and saga is not None:
            failed: list[str] = []
            for start in range(0, len(ids), settings.recovery_permits):
                for entity in [shard.entity(type_, id_) for id_ in ids[start : start + settings.recovery_permits]]:
                    try:
                        await entity.settled()
                    except EntityGone:
                        failed.append(entity.id)
                        continue
                    marked = entity.key in journal.low_water  # no longer, if its saga is over already
                    if marked and entity.saga is None and entity.phase is ACTIVE and saga.unsettled(entity.working):
                        self._host.sagas.resume(entity)
            ids = failed
            if failed:
                log.warning("recovery.not_woken", shard=shard.number, entities=len(failed))
                await asyncio.sleep(pause_ms / 1e3)
                pause_ms = min(2 * pause_ms, settings.saga_retry_max_ms)


def _needs_scan(type_: EntityType, journal: ShardJournal) -> bool:
    if type_.service != journal.service:
        return False
    return type_.checkpoint is Checkpoint.SNAPSHOT or type_.saga is not None
