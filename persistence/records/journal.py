"""Events on their way into a journal and out of it, and all that one append writes."""

from typing import Literal

from persistence.records.row import Row

JournalService = Literal["orders", "inventory", "payments"]


JOURNAL_SERVICES: tuple[JournalService, ...] = ("orders", "inventory", "payments")


AnswerService = Literal["orders", "inventory", "payments", "carts"]
"""Those that remember the answers of keyed requests."""


ANSWER_SERVICES: tuple[AnswerService, ...] = ("orders", "inventory", "payments", "carts")


class NewEvent(Row, frozen=True, kw_only=True):
    """An event on its way into the journal; its seq is its place in the batch."""

    entity_type: str
    entity_id: str
    version: int
    type: str
    schema_version: int
    body: bytes
    command_id: str
    correlation_id: str
    causation_id: str
    traceparent: str
    at_ms: int


class JournalEvent(NewEvent, frozen=True, kw_only=True):
    """An event as the journal holds it."""

    shard: int
    seq: int


class OrderRow(Row, frozen=True, kw_only=True):
    """State row of an order: read model and checkpoint in one (`orders_view`)."""

    id: str
    version: int
    shard: int
    seqs: tuple[int, ...]
    user_id: str
    status: str
    total_minor: int
    currency: str
    created_at_ms: int
    updated_at_ms: int
    state: bytes


class PaymentRow(Row, frozen=True, kw_only=True):
    """State row of a payment (`payments_view`). `id` is the payment's id, `order_id` its entity id."""

    id: str
    version: int
    shard: int
    seqs: tuple[int, ...]
    order_id: str
    user_id: str
    status: str
    amount_minor: int
    captured_minor: int
    refunded_minor: int
    currency: str
    created_at_ms: int
    updated_at_ms: int
    state: bytes


class StockRow(Row, frozen=True, kw_only=True):
    """Read model of a SKU (`stock_view`)."""

    sku: str
    version: int
    on_hand: int
    reserved: int
    sold: int


ViewRow = OrderRow | PaymentRow | StockRow


class TimerRow(Row, frozen=True, kw_only=True):
    """When an entity wants to be woken; `due_at_ms` None deletes its row."""

    entity_type: str
    entity_id: str
    due_at_ms: int | None


class ReturnRow(Row, frozen=True, kw_only=True):
    """Marks that a confirmed order's units of one SKU came back; written once."""

    order_id: str
    sku: str


class IdempotencyRow(Row, frozen=True, kw_only=True):
    """The remembered answer of one keyed request. `body` is the encoded reply."""

    principal: str
    route: str
    key: str
    fingerprint: str
    status: int
    body: bytes
    at_ms: int


class ShardBatch(Row, frozen=True, kw_only=True):
    """All that one append writes for one shard. Written whole, or not at all."""

    shard: int
    epoch: int
    expected_seq: int
    low_water: int
    events: tuple[NewEvent, ...]
    views: tuple[ViewRow, ...] = ()
    timers: tuple[TimerRow, ...] = ()
    returns: tuple[ReturnRow, ...] = ()
    idempotency: tuple[IdempotencyRow, ...] = ()


class Head(Row, frozen=True, kw_only=True):
    """The end of a shard's journal in one service."""

    shard: int
    epoch: int
    seq: int
    low_water: int


class SnapshotRow(Row, frozen=True, kw_only=True):
    """A SKU's whole state after the event `seq` of its shard."""

    entity_type: str
    entity_id: str
    shard: int
    seq: int
    version: int
    state: bytes
