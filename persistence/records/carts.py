"""Carts as stored."""

from persistence.records.journal import IdempotencyRow, NewEvent
from persistence.records.row import Row


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
