"""Rows for the contract suites, with only what a test is about left to say."""

from collections.abc import Sequence

from persistence.records import (
    CartRecord,
    CartWrite,
    HostRow,
    IdempotencyRow,
    LedgerRow,
    NewEvent,
    OrderRow,
    PaymentRow,
    ProductRecord,
    ReturnRow,
    ShardBatch,
    SnapshotRow,
    StockRow,
    TimerRow,
    UserRecord,
    VariantRecord,
    ViewRow,
)

NEVER_MS = 2**50
"""An expiry that no test run reaches."""


def event(entity_id: str = "ord_1", version: int = 1, *, entity_type: str = "order", body: bytes = b"{}") -> NewEvent:
    """An event whose ids can be told apart by entity and version."""
    return NewEvent(
        entity_type=entity_type,
        entity_id=entity_id,
        version=version,
        type=f"stampede.{entity_type}.changed.v1",
        schema_version=1,
        body=body,
        command_id=f"cmd-{entity_id}-{version}",
        correlation_id="corr",
        causation_id="cause",
        traceparent="",
        at_ms=1_700_000_000_000 + version,
    )


def batch(
    shard: int = 1,
    *,
    epoch: int = 1,
    seq: int = 0,
    events: Sequence[NewEvent] | int = 1,
    low_water: int = 0,
    views: Sequence[ViewRow] = (),
    timers: Sequence[TimerRow] = (),
    returns: Sequence[ReturnRow] = (),
    idempotency: Sequence[IdempotencyRow] = (),
) -> ShardBatch:
    """A batch on top of `seq`; a number of events makes that many of one entity."""
    if isinstance(events, int):
        events = [event(f"ord_{shard}", seq + n) for n in range(1, events + 1)]
    return ShardBatch(
        shard=shard,
        epoch=epoch,
        expected_seq=seq,
        low_water=low_water,
        events=tuple(events),
        views=tuple(views),
        timers=tuple(timers),
        returns=tuple(returns),
        idempotency=tuple(idempotency),
    )


def order(
    order_id: str = "ord_1",
    version: int = 1,
    *,
    shard: int = 1,
    status: str = "pending",
    user_id: str = "usr_1",
    created_at_ms: int = 1000,
    total_minor: int = 129_999,
) -> OrderRow:
    """An order's state row."""
    return OrderRow(
        id=order_id,
        version=version,
        shard=shard,
        seqs=tuple(range(1, version + 1)),
        user_id=user_id,
        status=status,
        total_minor=total_minor,
        currency="USD",
        created_at_ms=created_at_ms,
        updated_at_ms=created_at_ms + version,
        state=b'{"v":%d}' % version,
    )


def payment(
    payment_id: str = "pay_1",
    version: int = 1,
    *,
    order_id: str = "ord_1",
    captured_minor: int = 0,
    refunded_minor: int = 0,
    amount_minor: int = 500,
) -> PaymentRow:
    """A payment's state row, in shard 1."""
    return PaymentRow(
        id=payment_id,
        version=version,
        shard=1,
        seqs=(version,),
        order_id=order_id,
        user_id="usr_1",
        status="captured" if captured_minor else "failed",
        amount_minor=amount_minor,
        captured_minor=captured_minor,
        refunded_minor=refunded_minor,
        currency="USD",
        created_at_ms=1000,
        updated_at_ms=1000,
        state=b"{}",
    )


def stock(
    sku: str = "LAPTOP-001", version: int = 1, *, on_hand: int = 10, reserved: int = 0, sold: int = 0
) -> StockRow:
    """A SKU's read model."""
    return StockRow(sku=sku, version=version, on_hand=on_hand, reserved=reserved, sold=sold)


def snapshot(sku: str = "LAPTOP-001", seq: int = 1, *, shard: int = 1) -> SnapshotRow:
    """A SKU's snapshot whose state tells its seq."""
    return SnapshotRow(entity_type="sku", entity_id=sku, shard=shard, seq=seq, version=seq, state=b"%d" % seq)


def timer(entity_id: str, due_at_ms: int | None) -> TimerRow:
    """A timer of an order."""
    return TimerRow(entity_type="order", entity_id=entity_id, due_at_ms=due_at_ms)


def answer(key: str = "key-1", *, route: str = "POST /x", status: int = 200) -> IdempotencyRow:
    """A remembered answer."""
    return IdempotencyRow(
        principal="usr_1", route=route, key=key, fingerprint="f", status=status, body=b'{"a":1}', at_ms=5
    )


def host(name: str = "host-a", incarnation: str = "1", *, weight: float = 1.0) -> HostRow:
    """A host's row, as it joins."""
    return HostRow(
        host=name,
        incarnation=incarnation,
        node="node-1",
        actor_name=f"{name}-{incarnation}",
        weight=weight,
        renewed_at_ms=0,
        expires_at_ms=0,
    )


def cart_write(
    cart_id: str = "cart-1",
    expected_version: int = 0,
    *,
    expires_at_ms: int = NEVER_MS,
    events: Sequence[NewEvent] = (),
    idempotency: Sequence[IdempotencyRow] = (),
) -> CartWrite:
    """A write of the version behind `expected_version`."""
    version = expected_version + 1
    record = CartRecord(id=cart_id, version=version, state=b"state-%d" % version, expires_at_ms=expires_at_ms)
    return CartWrite(
        record=record, expected_version=expected_version, events=tuple(events), idempotency=tuple(idempotency)
    )


def product(
    product_id: str = "prod-laptop-001",
    version: int = 1,
    *,
    name: str = "Premium Ultrabook Pro 15",
    variants: Sequence[VariantRecord] | None = None,
    categories: Sequence[str] = ("computers",),
    created_at_ms: int = 1000,
) -> ProductRecord:
    """A product; without `variants` it has one, named after its id, at 1,299.99."""
    if variants is None:
        variants = (variant(product_id.upper()),)
    return ProductRecord(
        id=product_id,
        name=name,
        description="d",
        brand="b",
        currency="USD",
        categories=tuple(categories),
        attributes={"ram": 32, "weight": 1.5, "ports": ["usb-c", "hdmi"]},
        images=("i.png",),
        variants=tuple(variants),
        version=version,
        created_at_ms=created_at_ms,
        updated_at_ms=created_at_ms + version,
    )


def variant(sku: str, price_minor: int = 129_999, price_version: int = 1) -> VariantRecord:
    """One thing that can be bought."""
    return VariantRecord(sku=sku, options={"colour": "grey"}, price_minor=price_minor, price_version=price_version)


def user(user_id: str = "usr_1", email: str = "Ada@Example.com") -> UserRecord:
    """An account."""
    return UserRecord(
        id=user_id,
        email=email,
        email_key=email.casefold(),
        password_hash="hash-1",
        password_version=1,
        first_name="Ada",
        last_name="Lovelace",
        role="customer",
        created_at_ms=1,
    )


def movement(key: str = "ord_1:capture:1", amount_minor: int = 500) -> LedgerRow:
    """A successful capture."""
    return LedgerRow(
        key=key,
        kind="capture",
        status="succeeded",
        amount_minor=amount_minor,
        currency="USD",
        reference=f"ref-{key}",
        reason="",
        last4="4242",
        at_ms=9,
    )
