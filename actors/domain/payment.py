"""A payment: the record of what the gateway did for one order. The order drives; this entity only writes down.

    pending ──► captured ──► partially_refunded ──► refunded
       │  └───► failed ──► captured (the gateway's last word)
       └──► unknown ──► captured | failed              0 ≤ refunded ≤ captured = amount

Every command is named by the gateway's key behind it, so a repeat changes nothing.
"""

from typing import Literal, TypeAlias, assert_never

import msgspec

from actors.domain.decision import Context, Decision, Outcome, Rejected, refuse
from actors.domain.ids import payment_id

Status: TypeAlias = Literal["pending", "unknown", "captured", "failed", "partially_refunded", "refunded"]


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """The payment of the order `order_id`. Money in minor units."""

    order_id: str
    version: int = 0
    user_id: str = ""
    status: Status = "pending"
    amount: int = 0
    captured: int = 0
    refunded: int = 0
    currency: str = ""
    method_type: str = ""
    last4: str = ""
    reference: str = ""
    capture_key: str = ""
    refund_keys: tuple[str, ...] = ()
    created_at_ms: int = 0
    updated_at_ms: int = 0

    @property
    def id(self) -> str:
        """The payment's public id."""
        return payment_id(self.order_id)

    @property
    def was_captured(self) -> bool:
        """Whether money was taken (an order may be worth nothing: the amount does not tell)."""
        return self.status in ("captured", "partially_refunded", "refunded")


# --- commands ------------------------------------------------------------------------------------


class Attempted(msgspec.Struct, frozen=True, kw_only=True):
    """The attempt that a result belongs to."""

    key: str
    user_id: str
    amount: int
    currency: str
    method_type: str


class RecordCapture(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The gateway captured the whole amount."""

    attempt: Attempted
    reference: str
    last4: str


class RecordFailure(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The gateway declined, or the attempt was closed before it ran."""

    attempt: Attempted
    reason: str


class RecordUnknown(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The gateway has not answered yet."""

    attempt: Attempted


class RecordRefund(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The gateway gave money back."""

    key: str
    amount: int
    reference: str


class GetPayment(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Read it (most readers use the view)."""


Command: TypeAlias = RecordCapture | RecordFailure | RecordUnknown | RecordRefund | GetPayment
URGENT = (RecordCapture, RecordFailure, RecordUnknown, RecordRefund)


class PaymentAnswer(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The payment after the command."""

    payment: Payment


Reply: TypeAlias = PaymentAnswer | Rejected


# --- events --------------------------------------------------------------------------------------


class PaymentCaptured(msgspec.Struct, frozen=True, kw_only=True, tag="payment.captured"):
    """Money was taken."""

    attempt: Attempted
    reference: str
    last4: str
    at_ms: int


class PaymentFailed(msgspec.Struct, frozen=True, kw_only=True, tag="payment.failed"):
    """No money was taken, and none will be under this key."""

    attempt: Attempted
    reason: str
    at_ms: int


class PaymentUnknown(msgspec.Struct, frozen=True, kw_only=True, tag="payment.unknown"):
    """Money may have been taken."""

    attempt: Attempted
    at_ms: int


class PaymentRefunded(msgspec.Struct, frozen=True, kw_only=True, tag="payment.refunded"):
    """Money was given back."""

    key: str
    amount: int
    reference: str
    at_ms: int


Event: TypeAlias = PaymentCaptured | PaymentFailed | PaymentUnknown | PaymentRefunded


# --- decide and apply ----------------------------------------------------------------------------


def decide(state: Payment, command: Command, context: Context) -> Outcome:
    """Write down what the gateway did, once. Refusals mean a fault in the order: they never reach a client."""
    now_ms = context.earliest_ms
    match command:
        case GetPayment():
            if not state.version:
                return refuse("payment-not-found")
            return Decision(reply=PaymentAnswer(payment=state))
        case RecordCapture(attempt=attempt):
            if state.was_captured:
                if state.capture_key != attempt.key:
                    return refuse("already-paid", "Another attempt was captured.")
                return Decision(reply=PaymentAnswer(payment=state), replayed=True)
            event: Event = PaymentCaptured(
                attempt=attempt, reference=command.reference, last4=command.last4, at_ms=now_ms
            )
        case RecordFailure(attempt=attempt):
            if state.was_captured or (state.status == "failed" and state.capture_key == attempt.key):
                return Decision(reply=PaymentAnswer(payment=state), replayed=True)
            event = PaymentFailed(attempt=attempt, reason=command.reason, at_ms=now_ms)
        case RecordUnknown(attempt=attempt):
            if state.was_captured or state.capture_key == attempt.key:
                return Decision(reply=PaymentAnswer(payment=state), replayed=True)
            event = PaymentUnknown(attempt=attempt, at_ms=now_ms)
        case RecordRefund(key=key, amount=amount):
            if key in state.refund_keys:
                return Decision(reply=PaymentAnswer(payment=state), replayed=True)
            if state.refunded + amount > state.captured:
                return refuse("over-captured", "More than was captured cannot be given back.")
            event = PaymentRefunded(key=key, amount=amount, reference=command.reference, at_ms=now_ms)
        case _:
            assert_never(command)
    return Decision((event,), PaymentAnswer(payment=apply(state, event)))


def apply(state: Payment, event: Event) -> Payment:
    """The state after the event."""
    after = _applied(state, event)
    if not 0 <= after.refunded <= after.captured <= after.amount:
        raise AssertionError(f"money of {state.order_id} is out of balance after {event}")
    return after


def _applied(state: Payment, event: Event) -> Payment:
    version = state.version + 1
    match event:
        case PaymentCaptured(attempt=attempt):
            return msgspec.structs.replace(
                _attempted(state, attempt, event.at_ms),
                status="captured",
                captured=attempt.amount,
                reference=event.reference,
                last4=event.last4,
            )
        case PaymentFailed(attempt=attempt):
            return msgspec.structs.replace(_attempted(state, attempt, event.at_ms), status="failed")
        case PaymentUnknown(attempt=attempt):
            return msgspec.structs.replace(_attempted(state, attempt, event.at_ms), status="unknown")
        case PaymentRefunded(key=key, amount=amount):
            refunded = state.refunded + amount
            return msgspec.structs.replace(
                state,
                version=version,
                refunded=refunded,
                refund_keys=(*state.refund_keys, key),
                status="refunded" if refunded == state.captured else "partially_refunded",
                updated_at_ms=event.at_ms,
            )
        case _:
            assert_never(event)


def _attempted(state: Payment, attempt: Attempted, at_ms: int) -> Payment:
    return msgspec.structs.replace(
        state,
        version=state.version + 1,
        user_id=attempt.user_id,
        amount=attempt.amount,
        currency=attempt.currency,
        method_type=attempt.method_type,
        capture_key=attempt.key,
        created_at_ms=state.created_at_ms or at_ms,
        updated_at_ms=at_ms,
    )
