"""The journal in memory: fencing, and a batch written whole or not at all."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from persistence.batches import check_batches, last_timers, newest_views, view_id
from persistence.errors import AlreadyExists
from persistence.memory.constraints import check_events, check_low_water, check_view
from persistence.memory.seams import Seams
from persistence.memory.tables import AnswerKey, JournalTables, answer_key
from persistence.records import (
    Head,
    IdempotencyRow,
    JournalEvent,
    JournalService,
    NewEvent,
    PaymentRow,
    ShardBatch,
    TimerRow,
    ViewRow,
)

NEW_EVENT_FIELDS = NewEvent.__struct_fields__


@dataclass(slots=True)
class MemoryJournal:
    """One service's journal.

    `fencing` and `views_joined` are planted bugs for the simulation to find: with `fencing=False` an append
    ignores the head's epoch and seq; with `views_joined=False` the state rows of a fenced batch are written.
    """

    service: JournalService
    tables: JournalTables
    seams: Seams = field(default_factory=Seams)
    fencing: bool = True
    views_joined: bool = True

    async def heads(self) -> list[Head]:
        """The heads of all shards that were ever fenced."""
        return await self.seams.call(
            f"{self.service}.heads", lambda: [self.tables.heads[shard] for shard in sorted(self.tables.heads)]
        )

    async def fence(self, shard: int, epoch: int) -> Head | None:
        """Raise the shard's epoch; None if it is already there or higher."""
        return await self.seams.call(f"{self.service}.fence", lambda: self._fence(shard, epoch))

    async def append(self, batches: Sequence[ShardBatch]) -> frozenset[tuple[int, int]]:
        """Write every batch whose epoch and expected seq are the head's."""
        check_batches(self.service, batches)
        return await self.seams.call(f"{self.service}.append", lambda: self._append(batches))

    async def read(self, shard: int, after_seq: int, limit: int) -> list[JournalEvent]:
        """Events of one shard with seq > after_seq, in seq order."""
        # Seqs are gap-free from 1, so the list's index is seq - 1.
        return await self.seams.call(
            f"{self.service}.read",
            lambda: self.tables.journal.get(shard, [])[max(0, after_seq) : max(0, after_seq) + limit],
        )

    async def read_behind(self, positions: Mapping[int, int], limit: int) -> list[JournalEvent]:
        """What follows these seqs in these shards, at most `limit` events of each."""
        return await self.seams.call(f"{self.service}.read_behind", lambda: self._read_behind(positions, limit))

    async def read_at(self, shard: int, seqs: Sequence[int]) -> list[JournalEvent]:
        """The events at these seqs, in seq order."""
        return await self.seams.call(f"{self.service}.read_at", lambda: self._read_at(shard, seqs))

    async def timers(self, shard: int) -> list[TimerRow]:
        """Every timer row of a shard."""
        return await self.seams.call(
            f"{self.service}.timers",
            lambda: [timer for key, timer in sorted(self.tables.timers.items()) if key[0] == shard],
        )

    async def answer(self, principal: str, route: str, key: str) -> IdempotencyRow | None:
        """The remembered answer of a keyed request."""
        return await self.seams.call(
            f"{self.service}.answer", lambda: self.tables.idempotency.get((principal, route, key))
        )

    async def close(self) -> None:
        """Nothing to let go of."""

    def _fence(self, shard: int, epoch: int) -> Head | None:
        head = self.tables.heads.get(shard)
        if head is not None and head.epoch >= epoch:
            return None
        fenced = Head(
            shard=shard,
            epoch=epoch,
            seq=0 if head is None else head.seq,
            low_water=0 if head is None else head.low_water,
        )
        self.tables.heads[shard] = fenced
        return fenced

    def _append(self, batches: Sequence[ShardBatch]) -> frozenset[tuple[int, int]]:
        passed = [batch for batch in batches if self._passes(batch)]
        writing_views = passed if self.views_joined else batches
        views = [view for batch in writing_views for view in newest_views(batch.views)]
        self._check(passed, views)
        for view in views:
            self._upsert(view)
        for batch in passed:
            self._write(batch)
        return frozenset((batch.shard, batch.epoch) for batch in passed)

    def _passes(self, batch: ShardBatch) -> bool:
        head = self.tables.heads.get(batch.shard)
        if head is None:
            return False
        return not self.fencing or (head.epoch == batch.epoch and head.seq == batch.expected_seq)

    def _check(self, passed: Sequence[ShardBatch], views: Iterable[ViewRow]) -> None:
        """Raise before anything is written: a statement fails whole."""
        for batch in passed:
            check_low_water(batch, self.tables.heads[batch.shard].seq + len(batch.events))
            check_events(batch.events)
        answers: set[AnswerKey] = set()
        returns: set[tuple[str, str]] = set()
        for batch in passed:
            for row in batch.idempotency:
                key = answer_key(row)
                if key in answers or key in self.tables.idempotency:
                    raise AlreadyExists(f"an answer is remembered for {key}")
                answers.add(key)
            for back in batch.returns:
                if (back.order_id, back.sku) in returns | self.tables.returns:
                    raise AlreadyExists(f"{back.sku} of {back.order_id} was returned before")
                returns.add((back.order_id, back.sku))
        for view in views:
            check_view(view)
        self._check_one_capture(views)

    def _check_one_capture(self, views: Iterable[ViewRow]) -> None:
        written = {view.id: view for view in views if isinstance(view, PaymentRow) and self._is_newer(view)}
        for payment in written.values():
            if payment.captured_minor == 0:
                continue
            rivals = self.tables.payments_of.get(payment.order_id, set()) | set(written)
            for rival_id in rivals - {payment.id}:
                rival = written.get(rival_id) or self.tables.views.get(rival_id)
                if isinstance(rival, PaymentRow) and rival.order_id == payment.order_id and rival.captured_minor > 0:
                    raise AlreadyExists(f"order {payment.order_id} is paid by {rival_id}")

    def _is_newer(self, view: ViewRow) -> bool:
        held = self.tables.views.get(view_id(view))
        return held is None or held.version < view.version

    def _upsert(self, view: ViewRow) -> None:
        if not self._is_newer(view):
            return
        self.tables.views[view_id(view)] = view
        if isinstance(view, PaymentRow):
            self.tables.payments_of.setdefault(view.order_id, set()).add(view.id)

    def _write(self, batch: ShardBatch) -> None:
        head = self.tables.heads[batch.shard]
        journal = self.tables.journal.setdefault(batch.shard, [])
        for seq, event in enumerate(batch.events, head.seq + 1):
            fields = {name: getattr(event, name) for name in NEW_EVENT_FIELDS}
            journal.append(JournalEvent(shard=batch.shard, seq=seq, **fields))
        self.tables.heads[batch.shard] = msgspec.structs.replace(
            head, seq=head.seq + len(batch.events), low_water=batch.low_water
        )
        for timer in last_timers(batch.timers):
            key = (batch.shard, timer.entity_type, timer.entity_id)
            if timer.due_at_ms is None:
                self.tables.timers.pop(key, None)
            else:
                self.tables.timers[key] = timer
        self.tables.returns.update((back.order_id, back.sku) for back in batch.returns)
        self.tables.idempotency.update((answer_key(row), row) for row in batch.idempotency)

    def _read_behind(self, positions: Mapping[int, int], limit: int) -> list[JournalEvent]:
        journal = self.tables.journal
        return [event for shard, seq in positions.items() for event in journal.get(shard, [])[seq : seq + limit]]

    def _read_at(self, shard: int, seqs: Sequence[int]) -> list[JournalEvent]:
        journal = self.tables.journal.get(shard, [])
        return [journal[seq - 1] for seq in sorted(set(seqs)) if 0 < seq <= len(journal)]
