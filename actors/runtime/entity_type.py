"""What the runtime must know of an entity type. `actors/registry.py` has one row per type."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from actors.domain.decision import Context, Outcome, Rejected
from actors.domain.steps import Step
from persistence.records import JournalService, ViewRow
from persistence.stores import Stores


class Checkpoint(Enum):
    """How an entity's state survives."""

    STATE_ROW = "state-row"
    """Journal, and the whole state upserted in the same append: activation reads one row."""
    SNAPSHOT = "snapshot"
    """Journal, a small view row, and now and then a snapshot: activation folds the tail onto it."""
    COMPARE_AND_SET = "compare-and-set"
    """No journal: the state is written at its version, or not at all (carts)."""


class EventCodec(Protocol):
    """Events to and from the journal. Old versions are upcast on decoding."""

    def encode(self, event: Any) -> tuple[str, int, bytes]:
        """(type, schema version, body)."""

    def decode(self, type_: str, schema_version: int, body: bytes) -> Any:
        """The event, in today's shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaType:
    """The pure functions of an entity's saga (see `actors/domain/steps.py`)."""

    begin: Callable[[str, Any, Any, Context], Any]
    """(entity id, state or None, what `Parked.begin` held, context) -> progress."""
    resume: Callable[[str, Any], Any]
    """(entity id, state) -> fresh progress for a state that is found `in_flight`."""
    next_step: Callable[[Any, Any, Context], Step]
    """(committed state or None, progress, context) -> what to do now."""
    record: Callable[[Any, Step, Any], Any]
    """(progress, step, its result) -> progress."""
    joins: Callable[[Any, Any], Rejected | None]
    """(running progress, a `Parked.begin` that came later) -> None to share its outcome, or a refusal."""
    in_flight: Callable[[Any], bool]
    """Whether this state has unfinished work by itself: a saga is (re)started after its commit unless one runs.
    A running saga and an `in_flight` state hold the low-water mark at the seq of their first event."""
    unsettled: Callable[[Any], bool]
    """For a state that recovery finds above the low-water mark: whether effects after its last event may have
    been lost with the old owner, so that the saga resumes once (all of them are idempotent)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowMeta:
    """What a state row needs besides the state."""

    entity_id: str
    shard: int
    version: int
    seqs: tuple[int, ...]
    state: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityType:
    """One kind of entity: its pure functions, its codecs, and where it is kept."""

    name: str
    service: JournalService | None
    checkpoint: Checkpoint
    routing_key: Callable[[str], str]
    commands: Any
    """Union of the command structs (msgspec)."""
    replies: Any
    """Union of the reply structs and `Rejected` (msgspec)."""
    events: EventCodec
    initial: Callable[[str], Any]
    """The state of an entity that was never seen (may be None)."""
    decide: Callable[[Any, Any, Context], Outcome]
    apply: Callable[[Any, Any], Any]
    version: Callable[[Any], int]
    """The number of events in the state (0 for the initial one)."""
    encode_state: Callable[[Any], bytes]
    decode_state: Callable[[bytes], Any]
    view: Callable[[Any, RowMeta], ViewRow] | None
    """The view row of a state; for STATE_ROW types it carries `meta.state`."""
    load: Callable[[Stores, list[str]], Awaitable[dict[str, Any]]] | None
    """For STATE_ROW: id -> row with `.state`, `.version`, `.seqs`; the runtime batches the ids."""
    urgent: Callable[[Any], bool]
    """Commands that finish something: they have their own lane and are not refused by a full mailbox."""
    preload: Callable[[Any, str, Stores], Awaitable[Any]] | None = None
    """(command, entity id, stores) -> the command. Fills in what a command needs from the store before `decide` (serialised per entity for such commands)."""
    prefers_preload: Callable[[Any], bool] = lambda _command: False
    """Which commands `preload` is for."""
    returns: Callable[[Any, str], tuple[str, str] | None] = lambda _event, _entity_id: None
    """(event, entity id) -> (order id, sku) of the row that it must leave in `returns`, or None."""
    due_after: Callable[[Any, Any, int | None], int | None] = lambda _state, _event, due: due
    """(state after the event, the event, current due) -> when the entity wants to be woken; None: never."""
    next_due: Callable[[Any, int], int | None] = lambda _state, _since_ms: None
    """(state, time of the last wake) -> next due after it; may be O(state). Used on activation and after a wake."""
    wake: Callable[[Any, int, Context], Any] = lambda _state, _since_ms, _context: None
    """(state, last wake, context) -> what the saga begins with, or None."""
    saga: SagaType | None = None
    late: Callable[[Any, Any], Any] = lambda _state, _command: None
    """(committed state, a parked command whose time is over) -> the answer, or None: outcome unknown."""
    expires_at_ms: Callable[[Any], int] = lambda _state: 0
    """For COMPARE_AND_SET: when the stored state may be dropped."""
