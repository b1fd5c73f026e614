"""What an order decides, and what its events make of it. The vocabulary is in `order.py`."""

from typing import assert_never

import msgspec

from actors.domain.attempts import ends_ms
from actors.domain.decision import (
    CommandMark,
    Context,
    Decision,
    Outcome,
    Parked,
    Rejected,
    recall,
    refuse,
    remember,
)
from actors.domain.order import (
    ASK_GATEWAY_FIRST_MS,
    ASK_GATEWAY_MAX_MS,
    UNPAID_TTL_MS,
    Attempt,
    CancelledPaymentSettled,
    CancelOrder,
    ClaimVerdict,
    ClaimWord,
    Command,
    CompleteCancel,
    CompleteRefund,
    CreateOrder,
    DeliverOrder,
    Event,
    ExpireOrder,
    GetOrder,
    HoldVerdict,
    HoldWord,
    InquireClaim,
    InquireHold,
    Order,
    OrderAnswer,
    OrderCancelled,
    OrderCancelRequested,
    OrderConfirmed,
    OrderCreated,
    OrderDelivered,
    OrderExpired,
    OrderPaymentFailed,
    OrderRefunded,
    OrderShipped,
    PaymentAttempted,
    PaymentDelayed,
    PaymentNews,
    PayOrder,
    Placed,
    PlaceOrder,
    RefundCompleted,
    RefundOrder,
    RefundRequest,
    RefundRequested,
    SettlePayment,
    Shipment,
    ShipOrder,
    capture_key,
)

REUSED = Rejected("idempotency-key-reused", "This Idempotency-Key was used for another request.")


def decide(state: Order | None, command: Command, context: Context) -> Outcome:
    """What this command does to the order now.

    Refusals: order-not-found, payment-declined, already-paid, payment-in-progress, amount-mismatch,
    illegal-transition (with `allowed`), over-captured, attempt-over, idempotency-key-reused.
    """
    match command:
        case PlaceOrder():
            return Parked(begin=command) if state is None else _placed(state, context)
        case CreateOrder():
            return _create(state, command, context)
        case InquireHold():
            return Decision(reply=HoldWord(verdict=_hold_verdict(state, command, context)))
        case InquireClaim():
            return Decision(reply=ClaimWord(verdict=_claim_verdict(state, command, context)))
    if state is None:
        return refuse("order-not-found")
    match command:
        case PayOrder():
            return _pay(state, command, context)
        case CancelOrder():
            return _cancel(state, command, context)
        case ShipOrder() | DeliverOrder():
            return _move(state, command, context)
        case RefundOrder():
            return _refund(state, command, context)
        case SettlePayment():
            return _settle_payment(state, command, context)
        case PaymentNews():
            return _hear_news(state, command, context)
        case CompleteCancel():
            return _complete_cancel(state, context)
        case CompleteRefund():
            return _complete_refund(state, command, context)
        case ExpireOrder():
            if state.status != "pending" or state.cancelling or state.paying:
                return Decision(reply=OrderAnswer(order=state))
            if context.earliest_ms < state.expires_at_ms:
                return Decision(reply=OrderAnswer(order=state))
            return _journal(state, OrderExpired(at_ms=context.earliest_ms))
        case GetOrder():
            return Decision(reply=OrderAnswer(order=state))
        case _:
            assert_never(command)


def _journal(state: Order, *events: Event) -> Decision:
    after: Order | None = state
    for event in events:
        after = apply(after, event)
    assert after is not None
    return Decision(events, OrderAnswer(order=after))


def _illegal(state: Order, detail: str) -> Decision:
    return refuse("illegal-transition", detail, status=state.status, allowed=list(state.allowed))


# --- placing -------------------------------------------------------------------------------------


def _placed(state: Order, context: Context) -> Outcome:
    """The answer to a placement whose order exists: what it was answered first, or a wait for that."""
    if context.fingerprint != state.fingerprint:
        return Decision(reply=REUSED)
    repeat = context.not_after_ms != ends_ms(state.attempt_ms)
    if state.status == "payment_failed" and state.placed is None:
        # One that was answered as standing, and whose payment failed later, is still answered as it was then.
        reason = state.payment.reason if state.payment else ""
        refusal = Rejected("payment-declined", "The payment was declined.", {"orderId": state.id, "reason": reason})
        return Decision(reply=refusal, replayed=repeat)
    if state.placed is None and (state.paying or state.cancelling):
        return Parked()
    return Decision(reply=OrderAnswer(order=as_placed(state)), replayed=repeat)


def as_placed(state: Order) -> Order:
    """The order as it was when its placement was answered (a later repeat gets the same body)."""
    placed = state.placed
    if placed is None or placed.version == state.version:
        return state
    return msgspec.structs.replace(
        state,
        version=placed.version,
        status=placed.status,
        updated_at_ms=placed.at_ms,
        payment=state.payment if placed.status == "confirmed" else None,
        cancel=None,
        cancel_reason="",
        refunds=(),
        shipment=None,
        recent=(),
    )


def _create(state: Order | None, command: CreateOrder, context: Context) -> Decision:
    if state is not None:
        return Decision(reply=OrderAnswer(order=state), replayed=True)
    if context.latest_ms > ends_ms(command.attempt_ms):
        # From here on a SKU that asks is told that this attempt is over, so it must never become an order.
        return refuse("attempt-over", "The placement took too long.")
    request = command.request
    payment = None
    if request.payment_method is not None:
        payment = Attempt(n=1, method=request.payment_method, mark=command.mark)
    event = OrderCreated(
        id=command.order_id,
        user_id=request.user_id,
        email=request.email,
        cart_id=request.cart_id,
        fingerprint=command.mark.fingerprint,
        attempt_ms=command.attempt_ms,
        lines=command.lines,
        amounts=command.amounts,
        shipping_address=request.shipping_address,
        payment=payment,
        expires_at_ms=context.earliest_ms + UNPAID_TTL_MS,
        actor=command.mark.actor,
        at_ms=context.earliest_ms,
    )
    return Decision((event,), OrderAnswer(order=apply(None, event)))


# --- questions of those who hold something for the order ---------------------------------------------


def _hold_verdict(state: Order | None, question: InquireHold, context: Context) -> HoldVerdict:
    if state is None:
        # Attempts end by time: past its deadline an attempt can no longer create the order (see `_create`),
        # and earliest > attempt means that no clock that is right can still think otherwise.
        return "release" if context.earliest_ms > ends_ms(question.attempt_ms) else "keep"
    if question.attempt_ms != state.attempt_ms or all(line.sku != question.sku for line in state.lines):
        return "release" if context.earliest_ms > ends_ms(question.attempt_ms) else "keep"
    if state.status in ("payment_failed", "cancelled", "expired"):
        return "release"
    if state.status == "pending" or state.cancelling:
        # A cancel gives the stock back by itself: released here as well, it would come back twice.
        return "keep"
    return "commit"


def _claim_verdict(state: Order | None, question: InquireClaim, context: Context) -> ClaimVerdict:
    if state is None or question.attempt_ms != state.attempt_ms:
        return "release" if context.earliest_ms > ends_ms(question.attempt_ms) else "keep"
    if state.placed is not None:
        return "remove"
    return "release" if state.status in ("payment_failed", "cancelled") else "keep"


# --- paying --------------------------------------------------------------------------------------


def _pay(state: Order, command: PayOrder, context: Context) -> Outcome:
    attempt = state.payment
    if attempt is not None and attempt.mark.command_id == context.command_id:
        return _paid(state, attempt, context)
    if state.paid:
        return refuse("already-paid", "This order is paid.")
    if state.paying:
        return refuse("payment-in-progress", "Another payment of this order is under way.")
    if state.status != "pending" or state.cancelling or context.earliest_ms >= state.expires_at_ms:
        return _illegal(state, "This order can no longer be paid.")
    if (command.amount, command.currency) != (state.amounts.total, state.amounts.currency):
        return refuse("amount-mismatch", "The amount is not the order's total.")
    event = PaymentAttempted(
        attempt=Attempt(n=(attempt.n if attempt else 0) + 1, method=command.method, mark=CommandMark.of(context)),
        at_ms=context.earliest_ms,
    )
    return Parked(events=(event,))


def _paid(state: Order, attempt: Attempt, context: Context) -> Outcome:
    if attempt.mark.fingerprint != context.fingerprint:
        return Decision(reply=REUSED)
    repeat = CommandMark.of(context).until_ms != attempt.mark.until_ms
    match attempt.status:
        case "open" | "unknown":
            return Parked()
        case "captured":
            return Decision(reply=OrderAnswer(order=state), replayed=repeat)
        case "failed":
            refusal = Rejected(
                "payment-declined", "The payment was declined.", {"orderId": state.id, "reason": attempt.reason}
            )
            return Decision(reply=refusal, replayed=repeat)
        case "closed":
            return _illegal(state, "The order was cancelled before it was paid.")
        case _:
            assert_never(attempt.status)


def _settle_payment(state: Order, command: SettlePayment, context: Context) -> Decision:
    attempt, now_ms = state.payment, context.earliest_ms
    if attempt is None or attempt.n != command.n or not state.paying:
        return Decision(reply=OrderAnswer(order=state), replayed=True)
    if command.status == "unknown":
        delay_ms = min(ASK_GATEWAY_FIRST_MS << min(attempt.asked, 10), ASK_GATEWAY_MAX_MS)
        delayed = PaymentDelayed(n=attempt.n, asked=attempt.asked + 1, ask_at_ms=now_ms + delay_ms, at_ms=now_ms)
        return _journal(state, delayed)
    if state.cancel is not None:
        refund = None
        if command.status == "captured":
            refund = RefundRequest(n=len(state.refunds) + 1, amount=state.amounts.total, mark=state.cancel)
        settled = CancelledPaymentSettled(
            n=attempt.n,
            status=command.status,
            reference=command.reference,
            last4=command.last4,
            refund=refund,
            at_ms=now_ms,
        )
        return _journal(state, settled)
    if command.status == "captured":
        return _journal(
            state, OrderConfirmed(n=attempt.n, reference=command.reference, last4=command.last4, at_ms=now_ms)
        )
    return _journal(state, OrderPaymentFailed(n=attempt.n, reason=command.reason, at_ms=now_ms))


def _hear_news(state: Order, news: PaymentNews, context: Context) -> Decision:
    """The next question to the gateway is due now, if there is one at all and it is not due already."""
    attempt, now_ms = state.payment, context.earliest_ms
    waits = attempt is not None and attempt.status == "unknown" and attempt.ask_at_ms > now_ms
    if attempt is None or not waits or news.key != capture_key(state.id, attempt.n):
        return Decision(reply=OrderAnswer(order=state))
    return _journal(state, PaymentDelayed(n=attempt.n, asked=attempt.asked, ask_at_ms=now_ms, at_ms=now_ms))


# --- cancelling and giving back ------------------------------------------------------------------


def _cancel(state: Order, command: CancelOrder, context: Context) -> Outcome:
    mark = CommandMark.of(context)
    if state.cancel is not None and state.cancel.command_id == context.command_id:
        if state.cancel.fingerprint != context.fingerprint:
            return Decision(reply=REUSED)
        if state.cancelling:
            return Parked()
        return Decision(reply=OrderAnswer(order=state), replayed=mark.until_ms != state.cancel.until_ms)
    if state.status not in ("pending", "confirmed") or state.cancelling:
        return _illegal(state, "This order can no longer be cancelled.")
    left = state.amounts.total - state.refund_reserved if state.paid else 0
    refund = RefundRequest(n=len(state.refunds) + 1, amount=left, mark=mark) if left else None
    event = OrderCancelRequested(reason=command.reason, refund=refund, at_ms=context.earliest_ms, mark=mark)
    return Parked(events=(event,))


def _complete_cancel(state: Order, context: Context) -> Decision:
    if not state.cancelling or state.paying or state.open_refund is not None:
        return Decision(reply=OrderAnswer(order=state))
    refunded = state.refund_reserved
    return _journal(state, OrderCancelled(reason=state.cancel_reason, refunded=refunded, at_ms=context.earliest_ms))


def _refund(state: Order, command: RefundOrder, context: Context) -> Outcome:
    mark = CommandMark.of(context)
    for refund in state.refunds:
        if refund.mark.command_id == context.command_id:
            if refund.mark.fingerprint != context.fingerprint:
                return Decision(reply=REUSED)
            if not refund.done:
                return Parked()
            return Decision(reply=OrderAnswer(order=state), replayed=mark.until_ms != refund.mark.until_ms)
    if not state.paid or state.cancel is not None:
        return _illegal(state, "Nothing was captured that could be given back.")
    left = state.amounts.total - state.refund_reserved
    amount = left if command.amount is None else command.amount
    if not 0 < amount <= left:
        return refuse("over-captured", "More than is left of what was captured.", left=left)
    request = RefundRequest(n=len(state.refunds) + 1, amount=amount, mark=mark)
    return Parked(events=(RefundRequested(refund=request, at_ms=context.earliest_ms, mark=mark),))


def _complete_refund(state: Order, command: CompleteRefund, context: Context) -> Decision:
    if all(refund.n != command.n or refund.done for refund in state.refunds):
        return Decision(reply=OrderAnswer(order=state), replayed=True)
    done = RefundCompleted(n=command.n, at_ms=context.earliest_ms)
    after = apply(state, done)
    whole = after.refund_reserved == after.amounts.total and after.open_refund is None
    if after.status == "delivered" and whole:
        return _journal(state, done, OrderRefunded(n=command.n, at_ms=context.earliest_ms))
    return _journal(state, done)


# --- shipping ------------------------------------------------------------------------------------


def _move(state: Order, command: ShipOrder | DeliverOrder, context: Context) -> Decision:
    known = recall(state.recent, context)
    if isinstance(known, Rejected):
        return Decision(reply=known)
    if known is not None:
        return Decision(reply=OrderAnswer(order=state), replayed=True)
    needed = "confirmed" if isinstance(command, ShipOrder) else "shipped"
    if state.status != needed or state.cancelling:
        return _illegal(state, f"Only a {needed} order can be {'shipped' if needed == 'confirmed' else 'delivered'}.")
    mark, now_ms = CommandMark.of(context), context.earliest_ms
    if isinstance(command, ShipOrder):
        shipped = OrderShipped(
            carrier=command.carrier, tracking_number=command.tracking_number, at_ms=now_ms, mark=mark
        )
        return _journal(state, shipped)
    return _journal(state, OrderDelivered(at_ms=now_ms, mark=mark))


# --- apply ---------------------------------------------------------------------------------------


def apply(state: Order | None, event: Event) -> Order:
    """The order after the event."""
    if isinstance(event, OrderCreated):
        return _created(event)
    assert state is not None, "an order begins with OrderCreated"
    moved = msgspec.structs.replace(state, version=state.version + 1, updated_at_ms=event.at_ms)
    after = _applied(moved, event)
    assert after.refund_reserved <= after.amounts.total, "more given back than captured"
    return after


def _created(event: OrderCreated) -> Order:
    placed = None if event.payment else Placed(version=1, status="pending", at_ms=event.at_ms)
    return Order(
        id=event.id,
        version=1,
        user_id=event.user_id,
        email=event.email,
        cart_id=event.cart_id,
        fingerprint=event.fingerprint,
        attempt_ms=event.attempt_ms,
        status="pending",
        lines=event.lines,
        amounts=event.amounts,
        shipping_address=event.shipping_address,
        payment=event.payment,
        expires_at_ms=event.expires_at_ms,
        created_at_ms=event.at_ms,
        updated_at_ms=event.at_ms,
        placed=placed,
    )


def _applied(state: Order, event: Event) -> Order:
    replace = msgspec.structs.replace
    match event:
        case OrderCreated():
            raise AssertionError("an order is created once")
        case PaymentAttempted(attempt=attempt):
            return replace(state, payment=attempt)
        case PaymentDelayed():
            return replace(
                state, payment=_attempt(state, status="unknown", asked=event.asked, ask_at_ms=event.ask_at_ms)
            )
        case OrderConfirmed():
            captured = _attempt(state, status="captured", reference=event.reference, last4=event.last4)
            placed = state.placed or Placed(version=state.version, status="confirmed", at_ms=event.at_ms)
            return replace(state, status="confirmed", payment=captured, placed=placed)
        case OrderPaymentFailed():
            return replace(
                state, status="payment_failed", payment=_attempt(state, status="failed", reason=event.reason)
            )
        case OrderCancelRequested():
            refunds = (*state.refunds, event.refund) if event.refund else state.refunds
            # An unknown attempt is open again: the gateway is asked now, not at its next turn.
            payment = _attempt(state, status="open") if state.paying else state.payment
            return replace(state, cancel=event.mark, cancel_reason=event.reason, refunds=refunds, payment=payment)
        case CancelledPaymentSettled():
            refunds = (*state.refunds, event.refund) if event.refund else state.refunds
            settled = _attempt(state, status=event.status, reference=event.reference, last4=event.last4)
            return replace(state, payment=settled, refunds=refunds)
        case OrderCancelled():
            return replace(state, status="cancelled")
        case OrderExpired():
            return replace(state, status="expired")
        case OrderShipped(mark=mark):
            shipment = Shipment(carrier=event.carrier, tracking_number=event.tracking_number, shipped_at_ms=event.at_ms)
            recent = remember(state.recent, mark, b"", event.at_ms)
            return replace(state, status="shipped", shipment=shipment, recent=recent)
        case OrderDelivered(mark=mark):
            assert state.shipment is not None
            shipment = replace(state.shipment, delivered_at_ms=event.at_ms)
            recent = remember(state.recent, mark, b"", event.at_ms)
            return replace(state, status="delivered", shipment=shipment, recent=recent)
        case RefundRequested(refund=refund):
            return replace(state, refunds=(*state.refunds, refund))
        case RefundCompleted(n=n):
            done = tuple(replace(refund, done=True) if refund.n == n else refund for refund in state.refunds)
            return replace(state, refunds=done)
        case OrderRefunded():
            return replace(state, status="refunded")
        case _:
            assert_never(event)


def _attempt(state: Order, **changes: object) -> Attempt:
    assert state.payment is not None
    return msgspec.structs.replace(state.payment, **changes)


# --- time ----------------------------------------------------------------------------------------


def due(state: Order | None) -> int | None:
    """When the order wants to be woken: to expire unpaid, or to ask the gateway again."""
    if state is None or state.status != "pending":
        return None
    attempt = state.payment
    if attempt is not None and attempt.status == "unknown":
        return attempt.ask_at_ms
    if state.paying or state.cancelling:
        return None
    return state.expires_at_ms
