"""What one decision asks its committer to make durable."""

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from persistence.records import IdempotencyRow, NewEvent, ReturnRow, TimerRow

if TYPE_CHECKING:
    from actors.runtime.entity import Entity

Item = TypeVar("Item")
EVENT_OVERHEAD_BYTES = 200
"""About what an event takes besides its body; bounds are of the order, not exact."""


class Write:
    """The events of one decision with the state they lead to. Not numbered: seqs are given when a batch is made.

    A write without events moves the entity's timer row only.
    """

    __slots__ = ("due_ms", "entity", "events", "idempotency", "returns", "size_bytes", "state", "timer", "version")

    def __init__(  # noqa: PLR0913 - what one decision may need written
        self,
        entity: "Entity",
        *,
        events: tuple[NewEvent, ...] = (),
        state: Any = None,
        version: int = 0,
        due_ms: int | None = None,
        timer: TimerRow | None = None,
        returns: tuple[ReturnRow, ...] = (),
        idempotency: IdempotencyRow | None = None,
        size_bytes: int = 0,
    ) -> None:
        self.entity = entity
        self.events = events
        self.state = state
        self.version = version
        self.due_ms = due_ms
        self.timer = timer
        self.returns = returns
        self.idempotency = idempotency
        self.size_bytes = size_bytes


class Committed(NamedTuple):
    """An entity's state at a version that is durable; `seq` is that of its last event (0 without a journal)."""

    state: Any
    version: int
    seq: int


def with_item(items: list[Item] | None, item: Item) -> list[Item]:
    """The list with the item at its end; None is an empty one."""
    if items is None:
        return [item]
    items.append(item)
    return items
