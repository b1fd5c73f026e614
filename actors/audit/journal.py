"""I8 and I9: one shard's journal is read once, in order, and folded with the domain's own `apply`.

    events ──► seq and version without gaps (I8) ──► watcher sees the event (I1-I4, I13) ──► apply
                                                            │ at a row's or a snapshot's version
                                                            └──► equal to it? (I9)

Rows were read between the heads `before` and `head`. So what the journal had up to `before` must be in them, and
what they have must be in the journal up to `head`; that is exact, also while others write.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Protocol

import msgspec

from actors.audit.facts import Findings
from actors.codec import UnknownEvent
from actors.runtime.entity_type import Checkpoint, EntityType, RowMeta
from cluster.hashing import shard_of
from persistence.records import Head, JournalEvent, OrderRow, PaymentRow, ShardRow, SnapshotRow, StockRow, ViewRow

UNFOLDABLE = (AssertionError, AttributeError, KeyError, TypeError)
"""What `apply` raises for events that no `decide` could have made."""


class RowMark(msgspec.Struct, frozen=True):
    """A state row, by its version and a digest of everything in it."""

    version: int
    digest: bytes


@dataclass(slots=True)
class Folded:
    """An entity on its way through its events. `broken`: they cannot be folded any further."""

    id: str
    state: Any
    shard: int
    version: int = 0
    version_before: int = 0
    """At the head `before`."""
    seqs: list[int] = field(default_factory=list)
    unsnapshotted_seq: int = 0
    broken: bool = False

    @property
    def was_before(self) -> bool:
        """Whether the version it is at was there at the head `before`."""
        return self.version == self.version_before


class Watcher(Protocol):
    """Who looks at every event on the way. What it finds wrong is in its `findings`."""

    findings: Findings

    def saw(self, entity: Folded, event: Any, at_ms: int) -> None:
        """The next event of an entity, `entity.state` before it."""

    def moved(self, entity: Folded, before: Any, event: Any, at_ms: int) -> None:
        """It was applied: `entity.state` is after it. Not called once an entity is broken."""

    def done(self, entity: Folded, head: Head) -> None:
        """The journal ends here."""


def entity_id_of(row: ViewRow) -> str:
    """The id of the entity whose row this is."""
    match row:
        case OrderRow():
            return row.id
        case PaymentRow():
            return row.order_id
        case StockRow():
            return row.sku


def mark_of(type_: EntityType, row: ViewRow) -> RowMark:
    """The mark of a stored row. Its state is encoded anew: an older code's spelling of it is not a difference."""
    if isinstance(row, OrderRow | PaymentRow):
        row = msgspec.structs.replace(row, state=type_.encode_state(type_.decode_state(row.state)))
    return RowMark(version=row.version, digest=_digest(row))


def _digest(row: ViewRow) -> bytes:
    return blake2b(msgspec.msgpack.encode(row), digest_size=16).digest()


class ShardFold:
    """One shard of one service. Feed it every event up to the head, then `finish`."""

    def __init__(
        self,
        type_: EntityType,
        before: Head | None,
        head: Head,
        *,
        rows: dict[str, RowMark],
        snapshots: Mapping[str, SnapshotRow],
        watcher: Watcher,
        shard_count: int,
    ) -> None:
        self.findings = Findings()
        self._type = type_
        self._before_seq, self._low_water = (before.seq, before.low_water) if before else (0, 0)
        self._head = head
        self._rows = rows
        self._snapshots = snapshots
        self._watcher = watcher
        self._shard_count = shard_count
        self._seq = 0
        self._entities: dict[str, Folded] = {}
        self._name = f"{type_.service} shard {head.shard}"

    def feed(self, events: Iterable[JournalEvent]) -> None:
        """The next events, in the order in which the journal has them."""
        for record in events:
            self.findings.checked["I8"] += 1
            if record.seq != self._seq + 1:
                self.findings.breach("I8", self._name, f"seq {record.seq} follows {self._seq}")
            self._seq = record.seq
            self._feed(record)

    def finish(self) -> None:
        """Judge the end: the head, and rows and snapshots that the journal does not lead to."""
        if self._seq != self._head.seq:
            self.findings.breach("I8", self._name, f"the head says {self._head.seq}, the last event is {self._seq}")
        for entity in self._entities.values():
            self.findings.checked["I9"] += 1
            self._finish_row(entity)
            self._finish_snapshot(entity)
            self._watcher.done(entity, self._head)
        for sku, snapshot in self._snapshots.items():
            if sku not in self._entities:
                self.findings.breach("I9", self._subject(sku), f"a snapshot at seq {snapshot.seq}, but no events")

    def _feed(self, record: JournalEvent) -> None:
        type_, subject = self._type, self._subject(record.entity_id)
        if record.entity_type != type_.name:
            self.findings.breach("I8", self._name, f"seq {record.seq} is an event of a {record.entity_type}")
            return
        entity = self._entities.get(record.entity_id)
        if entity is None:
            entity = Folded(record.entity_id, type_.initial(record.entity_id), record.shard)
            self._entities[record.entity_id] = entity
            if self._shard_count and shard_of(type_.routing_key(record.entity_id), self._shard_count) != record.shard:
                self.findings.breach("I8", subject, f"its events are in shard {record.shard}, where it is not at home")
        if record.version != entity.version + 1:
            self.findings.breach("I8", subject, f"version {record.version} follows {entity.version}")
            entity.broken = True
        entity.version = record.version
        entity.seqs.append(record.seq)
        if record.seq <= self._before_seq:
            entity.version_before = record.version
        snapshot = self._snapshots.get(record.entity_id)
        if entity.unsnapshotted_seq == 0 and record.version > (snapshot.version if snapshot else 0):
            entity.unsnapshotted_seq = record.seq
        self._apply(entity, record)
        if not entity.broken:
            self._compare(entity, record.seq, snapshot)

    def _apply(self, entity: Folded, record: JournalEvent) -> None:
        try:
            event = self._type.events.decode(record.type, record.schema_version, record.body)
        except (UnknownEvent, msgspec.DecodeError) as error:
            self.findings.breach("I9", self._subject(entity.id), f"version {record.version} cannot be read: {error}")
            entity.broken = True
            return
        self._watcher.saw(entity, event, record.at_ms)
        if entity.broken:
            return
        before = entity.state
        try:
            entity.state = self._type.apply(before, event)
        except UNFOLDABLE as error:
            entity.broken = True
            self.findings.breach(
                "I9", self._subject(entity.id), f"version {record.version} ({record.type}) cannot be applied: {error!r}"
            )
            return
        self._watcher.moved(entity, before, event, record.at_ms)

    def _compare(self, entity: Folded, seq: int, snapshot: SnapshotRow | None) -> None:
        type_, subject = self._type, self._subject(entity.id)
        if type_.version(entity.state) != entity.version:
            self.findings.breach("I9", subject, f"the fold is at {type_.version(entity.state)}, not {entity.version}")
            entity.broken = True
            return
        mark = self._rows.get(entity.id)
        if mark is not None and mark.version == entity.version and mark.digest != _digest(self._row_of(entity)):
            self.findings.breach("I9", subject, f"its row at version {mark.version} is not the fold of its events")
        if snapshot is not None and snapshot.version == entity.version:
            if snapshot.seq != seq:
                detail = f"its snapshot of version {snapshot.version} is at seq {snapshot.seq}, the event at {seq}"
                self.findings.breach("I9", subject, detail)
            if type_.decode_state(snapshot.state) != entity.state:
                detail = f"its snapshot of version {snapshot.version} is not the fold of its events"
                self.findings.breach("I9", subject, detail)

    def _row_of(self, entity: Folded) -> ViewRow:
        type_ = self._type
        assert type_.view is not None
        whole = type_.checkpoint is Checkpoint.STATE_ROW
        return type_.view(
            entity.state,
            RowMeta(
                entity_id=entity.id,
                shard=entity.shard,
                version=entity.version,
                seqs=tuple(entity.seqs) if whole else (),
                state=type_.encode_state(entity.state) if whole else b"",
            ),
        )

    def _finish_row(self, entity: Folded) -> None:
        mark = self._rows.pop(entity.id, None)
        if mark is None:
            if entity.version_before:
                self.findings.breach("I9", self._subject(entity.id), "it has events, but no row")
        elif mark.version < entity.version_before:
            detail = f"its row is at version {mark.version}, its journal was at {entity.version_before}"
            self.findings.breach("I9", self._subject(entity.id), detail)
        elif mark.version > entity.version:
            detail = f"its row is at version {mark.version}, its journal ends at {entity.version}"
            self.findings.breach("I9", self._subject(entity.id), detail)

    def _finish_snapshot(self, entity: Folded) -> None:
        if self._type.checkpoint is not Checkpoint.SNAPSHOT:
            return
        snapshot = self._snapshots.get(entity.id)
        if snapshot is not None and snapshot.version > entity.version:
            detail = f"its snapshot is at version {snapshot.version}, its journal ends at {entity.version}"
            self.findings.breach("I9", self._subject(entity.id), detail)
        if 0 < entity.unsnapshotted_seq < self._low_water:
            detail = f"seq {entity.unsnapshotted_seq} is in no snapshot, and before the low water {self._low_water}"
            self.findings.breach("I9", self._subject(entity.id), detail)

    def _subject(self, entity_id: str) -> str:
        return f"{self._type.name} {entity_id}"


def leftover_rows(type_: EntityType, rows: Iterable[str]) -> Findings:
    """Rows (by entity id) that no journal led to."""
    findings = Findings()
    for entity_id in rows:
        findings.breach("I9", f"{type_.name} {entity_id}", "it has a row, but no events")
    return findings


def check_heads(service: str, before: Sequence[Head], after: Sequence[Head], shards: Sequence[ShardRow]) -> Findings:
    """I8: neither epoch nor seq ever falls, and no journal is ahead of the shard's claim (read after the heads)."""
    findings = Findings()
    then = {head.shard: head for head in before}
    claims = {row.shard: row.epoch for row in shards}
    for head in after:
        subject = f"{service} shard {head.shard}"
        earlier = then.pop(head.shard, None)
        if earlier is not None and (head.epoch < earlier.epoch or head.seq < earlier.seq):
            findings.breach(
                "I8", subject, f"its head fell from {earlier.epoch}/{earlier.seq} to {head.epoch}/{head.seq}"
            )
        if head.shard in claims and head.epoch > claims[head.shard]:
            detail = f"its head is at epoch {head.epoch}, its claim only at {claims[head.shard]}"
            findings.breach("I8", subject, detail)
    for shard in then:
        findings.breach("I8", f"{service} shard {shard}", "its head is gone")
    return findings
