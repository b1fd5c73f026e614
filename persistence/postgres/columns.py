"""Rows to columns: the arrays that `unnest` takes, in the order in which the statements name them."""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

from persistence.records import (
    IdempotencyRow,
    JournalEvent,
    NewEvent,
    OrderRow,
    PaymentRow,
    ReturnRow,
    Row,
    StockRow,
    TimerRow,
)

Columns = list[list[Any]]

EVENT_COLUMNS = NewEvent.__struct_fields__
ANSWER_COLUMNS = IdempotencyRow.__struct_fields__
TIMER_COLUMNS = TimerRow.__struct_fields__
RETURN_COLUMNS = ReturnRow.__struct_fields__
STOCK_COLUMNS = StockRow.__struct_fields__
ORDER_COLUMNS = tuple(name for name in OrderRow.__struct_fields__ if name != "shard")
PAYMENT_COLUMNS = tuple(name for name in PaymentRow.__struct_fields__ if name != "shard")


def columns(names: Sequence[str], rows: Sequence[Row]) -> Columns:
    """One list a name. `seqs` becomes the text of an array, for arrays of arrays do not unnest."""
    return [_seqs(rows) if name == "seqs" else list(map(attrgetter(name), rows)) for name in names]


def _seqs(rows: Iterable[Any]) -> list[str]:
    return ["{" + ",".join(map(str, row.seqs)) + "}" for row in rows]


def event_of(record: Any) -> JournalEvent:
    """An event from its columns."""
    return JournalEvent(**record)
