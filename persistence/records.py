"""The rows that cross the ports. Times are milliseconds since the epoch (UTC), money integer minor units."""

from typing import Literal

import msgspec

JournalService = Literal["orders", "inventory", "payments"]
JOURNAL_SERVICES: tuple[JournalService, ...] = ("orders", "inventory", "payments")
OutboxService = Literal["carts", "catalog", "users"]
AnswerService = Literal["orders", "inventory", "payments", "carts"]
"""Those that remember the answers of keyed requests."""
ANSWER_SERVICES: tuple[AnswerService, ...] = ("orders", "inventory", "payments", "carts")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all records."""


# --- cluster -------------------------------------------------------------------------------------


class HostRow(Row, frozen=True, kw_only=True):
    """One shard host that is alive: the row is its lease."""

    host: str
    incarnation: str
    node: str
    actor_name: str
    weight: float
    renewed_at_ms: int
    expires_at_ms: int


class ShardRow(Row, frozen=True, kw_only=True):
    """Who owns a shard. `owner` is None only before the first claim."""

    shard: int
    owner: str | None
    incarnation: str | None
    epoch: int


# --- journal -------------------------------------------------------------------------------------


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


# --- carts ---------------------------------------------------------------------------------------


class CartRecord(Row, frozen=True, kw_only=True):
    """A cart as stored. `state` is the encoded cart."""

    id: str
    version: int
    state: bytes
    expires_at_ms: int


class CartWrite(Row, frozen=True, kw_only=True):
    """A compare-and-set of one cart: written only if the stored version is `expected_version` (0 = absent).

    `events` go to the outbox in the same statement, `idempotency` to the carts' record of answers.
    """

    record: CartRecord
    expected_version: int
    events: tuple[NewEvent, ...] = ()
    idempotency: tuple[IdempotencyRow, ...] = ()


# --- catalog -------------------------------------------------------------------------------------


class VariantRecord(Row, frozen=True, kw_only=True):
    """One thing that can be bought."""

    sku: str
    options: dict[str, str]
    price_minor: int
    price_version: int


class ProductRecord(Row, frozen=True, kw_only=True):
    """A product document. Its price is the lowest of its variants'."""

    id: str
    name: str
    description: str
    brand: str
    currency: str
    categories: tuple[str, ...]
    attributes: dict[str, object]
    images: tuple[str, ...]
    variants: tuple[VariantRecord, ...]
    version: int
    created_at_ms: int
    updated_at_ms: int


class ProductWrite(Row, frozen=True, kw_only=True):
    """One product of a batch, to be written at `expected_version` (0 = create) with its events."""

    product: ProductRecord
    expected_version: int
    events: tuple[NewEvent, ...] = ()


class CategoryRecord(Row, frozen=True, kw_only=True):
    """A category; `product_count` is filled on reading."""

    id: str
    name: str
    version: int
    product_count: int = 0


class PriceRecord(Row, frozen=True, kw_only=True):
    """One version of a SKU's price, append-only. `replaced_at_ms` is None while it is the current one."""

    sku: str
    version: int
    product_id: str
    name: str
    price_minor: int
    currency: str
    valid_from_ms: int
    replaced_at_ms: int | None


class ProductQuery(Row, frozen=True, kw_only=True):
    """What a product list asks for. `cursor` is opaque and made by the adapter."""

    category: str | None = None
    min_price_minor: int | None = None
    max_price_minor: int | None = None
    skus_in_stock: frozenset[str] | None = None
    sort: Literal["name", "price", "-price", "newest"] = "name"
    limit: int = 20
    cursor: str | None = None


# --- product search ------------------------------------------------------------------------------


class SearchQuery(Row, frozen=True, kw_only=True):
    """What a search asks for. `text` is what the shopper typed, read as plain words; "" finds everything."""

    text: str
    category: str | None = None
    brand: str | None = None
    min_price_minor: int | None = None
    max_price_minor: int | None = None
    skus_in_stock: frozenset[str] | None = None
    sort: Literal["relevance", "name", "price", "-price", "newest"] = "relevance"
    limit: int = 20
    cursor: str | None = None


class FacetCount(Row, frozen=True, kw_only=True):
    """How many of the found products have this value of a facet. Price ranges: from (inclusive) to (exclusive)."""

    value: str
    count: int
    from_minor: int | None = None
    to_minor: int | None = None


class SearchPage(Row, frozen=True, kw_only=True):
    """A page of found products (as they were indexed), the next cursor, facets by name, and how many there are."""

    products: tuple[ProductRecord, ...]
    next_cursor: str | None
    facets: dict[str, tuple[FacetCount, ...]]
    total: int


# --- users ---------------------------------------------------------------------------------------


class UserRecord(Row, frozen=True, kw_only=True):
    """An account. `email` is stored as given, `email_key` is its case-folded form and unique."""

    id: str
    email: str
    email_key: str
    password_hash: str
    password_version: int
    first_name: str
    last_name: str
    role: str
    created_at_ms: int


class RefreshTokenRecord(Row, frozen=True, kw_only=True):
    """A refresh token by its hash. Tokens made from one login share a family."""

    token_hash: str
    family: str
    user_id: str
    password_version: int
    expires_at_ms: int
    used_at_ms: int | None


Channel = Literal["email", "sms"]


class NotificationRow(Row, frozen=True, kw_only=True):
    """One message to a customer. There is at most one for an event and channel.

    `pending`: to be sent at `due_at_ms`, or again after `attempts` attempts. `sent`: handed over (or, in the built-in
    mailbox, kept). `failed`: given up; `error` says why.
    """

    id: str
    event_id: str
    type: str
    channel: Channel
    recipient: str
    subject: str
    text_body: str
    html_body: str
    user_id: str
    order_id: str
    status: Literal["pending", "sent", "failed"]
    attempts: int
    due_at_ms: int
    created_at_ms: int
    ended_at_ms: int | None
    error: str = ""
    traceparent: str = ""
    correlation_id: str = ""


class AdminRecord(Row, frozen=True, kw_only=True):
    """One thing an administrator or a service did, and the status it got. `id` is 0 before it is stored."""

    at_ms: int
    actor: str
    role: str
    method: str
    route: str
    path: str
    status: int
    request_id: str
    address: str
    id: int = 0


class OutboxRow(Row, frozen=True, kw_only=True):
    """An event of something without a journal, waiting to be published."""

    id: int
    topic: str
    event: NewEvent


OWN_TOPICS = {"notification": "notification-events"}
"""Topic by entity type, of what shares another service's outbox; all others go to their service's."""


# --- the payment gateway's own ledger ------------------------------------------------------------


class LedgerRow(Row, frozen=True, kw_only=True):
    """A movement at the payment gateway, keyed by idempotency key.

    `intent`: none yet, but the adapter of a real gateway is about to make one: `reference` is the gateway's object for
    it, `open` until a row under the movement's own key says what came of it.
    """

    key: str
    kind: Literal["capture", "refund", "intent"]
    status: Literal["succeeded", "declined", "closed", "open"]
    amount_minor: int
    currency: str
    reference: str
    reason: str
    last4: str
    at_ms: int
    of_key: str = ""


# --- what administrators look at --------------------------------------------------------------------


class OrderFilter(Row, frozen=True, kw_only=True):
    """Which orders. None: any. `from_ms` inclusive, `to_ms` exclusive, both of the order's making.

    `email_key` is the case-folded address that the order is told to.
    """

    user_id: str | None = None
    status: str | None = None
    email_key: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    min_total_minor: int | None = None
    max_total_minor: int | None = None


class StatusTotals(Row, frozen=True, kw_only=True):
    """The orders that have a status now, and what they are worth."""

    status: str
    orders: int
    total_minor: int


class PaymentTotals(Row, frozen=True, kw_only=True):
    """What payments brought, and what of it was given back since."""

    payments: int
    captured_minor: int
    refunded_minor: int


class StockTotals(Row, frozen=True, kw_only=True):
    """Counts of SKUs. `low`: at most a threshold of units can be bought; `out`: none can (they are low too)."""

    skus: int
    low: int
    out: int


class CatalogSku(Row, frozen=True, kw_only=True):
    """A SKU that the catalog sells, and whose it is."""

    sku: str
    product_id: str
    name: str


class UserTotals(Row, frozen=True, kw_only=True):
    """How many accounts of customers there are, and how many of them were made since a moment."""

    customers: int
    new: int


Page = tuple[list[OrderRow], str | None, int | None]
"""Rows, the next cursor, and the total when it is known."""

FoundOrders = tuple[list[OrderRow], str | None]
"""Rows, and the cursor behind what was looked at."""
