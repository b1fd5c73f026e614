"""What every journal adapter checks and arranges before it writes a call of `ShardBatch`es.

PostgreSQL refuses to touch one row twice in a statement, so a call carries one row per id: its last version.
"""

from collections.abc import Iterable, Sequence

from persistence.records import (
    JournalService,
    OrderRow,
    PaymentRow,
    ShardBatch,
    StockRow,
    TimerRow,
    ViewRow,
)

VIEW_TYPES: dict[JournalService, type[OrderRow] | type[PaymentRow] | type[StockRow]] = {
    "orders": OrderRow,
    "inventory": StockRow,
    "payments": PaymentRow,
}


def view_id(row: ViewRow) -> str:
    """The primary key of a view row."""
    return row.sku if isinstance(row, StockRow) else row.id


def check_batches(service: JournalService, batches: Sequence[ShardBatch]) -> None:
    """Raise `ValueError` for a call that no correct writer makes: it would be a bug, not a refused write."""
    shards = {batch.shard for batch in batches}
    if len(shards) != len(batches):
        raise ValueError("one append carries at most one batch a shard")
    view_type = VIEW_TYPES[service]
    for batch in batches:
        for view in batch.views:
            if type(view) is not view_type:
                raise ValueError(f"the {service} journal holds no {type(view).__name__}")
            if not isinstance(view, StockRow) and view.shard != batch.shard:
                raise ValueError(f"view {view.id} of shard {view.shard} in a batch of shard {batch.shard}")
        if batch.returns and service != "inventory":
            raise ValueError(f"the {service} journal holds no returns")


def newest_views(views: Iterable[ViewRow]) -> Iterable[ViewRow]:
    """One row per id: its highest version."""
    newest: dict[str, ViewRow] = {}
    for view in views:
        key = view_id(view)
        held = newest.get(key)
        if held is None or held.version < view.version:
            newest[key] = view
    return newest.values()


def last_timers(timers: Iterable[TimerRow]) -> Iterable[TimerRow]:
    """One row per entity: the last that was set."""
    return {(timer.entity_type, timer.entity_id): timer for timer in timers}.values()
