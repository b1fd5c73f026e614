"""The CHECKs of the PostgreSQL schemas, for the memory adapters. Kept in step by the contract suites."""

from collections.abc import Iterable

from persistence.errors import WriteRefused
from persistence.records import LedgerRow, NewEvent, OrderRow, PaymentRow, ShardBatch, StockRow, ViewRow


def check_view(row: ViewRow) -> None:
    """Raise `WriteRefused` for a state row that breaks an invariant."""
    match row:
        case OrderRow():
            holds = row.version > 0 and row.total_minor >= 0
        case PaymentRow():
            holds = (
                row.version > 0
                and row.amount_minor >= 0
                and row.captured_minor in (0, row.amount_minor)
                and 0 <= row.refunded_minor <= row.captured_minor
            )
        case StockRow():
            holds = row.version > 0 and 0 <= row.reserved <= row.on_hand and row.sold >= 0
    if not holds:
        raise WriteRefused(f"{type(row).__name__} breaks an invariant: {row}")


def check_events(events: Iterable[NewEvent]) -> None:
    """Raise `WriteRefused` for an event that a journal or an outbox would not take."""
    for event in events:
        if event.version <= 0 or event.schema_version <= 0:
            raise WriteRefused(f"event {event.type} of {event.entity_id}: versions start at 1")


def check_low_water(batch: ShardBatch, seq: int) -> None:
    """Raise `WriteRefused` if the low-water mark would skip events that are not written yet."""
    if not 0 <= batch.low_water <= seq + 1:
        raise WriteRefused(f"shard {batch.shard}: low water {batch.low_water} behind seq {seq}")


def check_ledger(row: LedgerRow) -> None:
    """Raise `WriteRefused` for a movement of a negative amount."""
    if row.amount_minor < 0:
        raise WriteRefused(f"ledger {row.key}: negative amount")


def check_version(version: int) -> None:
    """Raise `WriteRefused` for a row at a version that no row has."""
    if version <= 0:
        raise WriteRefused(f"version {version}: versions start at 1")
