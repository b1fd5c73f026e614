"""The checkout saga: what is to be done for an order between its events.

    no order yet (nothing durable but what others hold):
        claim the cart ► price ► reserve every SKU ► CreateOrder            any refusal ► unwind ► refuse
    the order stands:
        payment open    ► charge ► captured: OrderConfirmed ‖ payment recorded
                                 ► declined: give back, record ► OrderPaymentFailed
                                 ► no answer: PaymentDelayed; the timer asks again, with the same key
        cancelling      ► close or refund the payment ► give back ► OrderCancelled
        refund open     ► refund ► record ► RefundCompleted
        time is over    ► OrderExpired
        then            ► settle: commit (or release) the stock, clear the cart, record the payment

The cart: an order that was answered as standing takes its lines with it; one that never was leaves them there.

The undo of a step is known before it is done: whatever may have been reserved is released, and whoever holds
something and hears nothing asks (`InquireHold`, `InquireClaim`). Register-the-undo-first is the saga discipline
of Garcia-Molina and Salem (1987); a payment that timed out stays unknown until the gateway says otherwise.
"""

from typing import Any, TypeAlias

import msgspec

from actors.domain import cart, inventory, order, payment
from actors.domain.attempts import attempt_of
from actors.domain.decision import CommandMark, Context, Rejected
from actors.domain.order import Order, PlaceOrder, capture_key, refund_key
from actors.domain.pricing import Refusal, lines_of, unpriced
from actors.domain.steps import (
    Ask,
    AskAll,
    Charge,
    ChargeResult,
    CloseCharge,
    Decide,
    Failed,
    Finished,
    Price,
    Priced,
    Refund,
    RefundResult,
    Step,
    Together,
    Wait,
)

BACKOFF_FIRST_MS = 200
BACKOFF_MAX_MS = 60_000
UNWIND_ROUNDS_MAX = 2
"""A refusal is not held up for long by a SKU that does not answer: it will ask by itself."""

TRY_AGAIN = Rejected("try-again", "A part of the platform did not answer in time; repeat with the same key.")
ATTEMPT_OVER = ("attempt-superseded", "attempt-closed")
"""What holders answer to an attempt that is over: nothing a client could make sense of."""


class Woken(msgspec.Struct, frozen=True):
    """Begins the saga when the order's timer is due."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What this run of the saga knows that the order's state does not. Lost in a crash, and not missed."""

    order_id: str
    request: PlaceOrder | None = None
    attempt_ms: int = 0
    mark: CommandMark | None = None
    woken: bool = False
    lines: tuple[cart.CartLine, ...] | None = None
    prices: dict[str, Priced] | None = None
    reserved: bool = False
    may_hold: tuple[str, ...] = ()
    refusal: Rejected | None = None
    charge: ChargeResult | None = None
    asked_gateway: bool = False
    refunded: RefundResult | None = None
    done: frozenset[str] = frozenset()
    rounds: int = 0
    rest: bool = False


# --- the saga's four entry points (see `SagaType`) ---------------------------------------------------


Begin: TypeAlias = PlaceOrder | Woken


def begin(order_id: str, _state: Order | None, what: Begin, context: Context) -> Progress:
    """A run that places an order, or that its timer started."""
    if isinstance(what, Woken):
        return Progress(order_id=order_id, woken=True)
    attempt_ms = attempt_of(context.not_after_ms, context.epoch)
    return Progress(order_id=order_id, request=what, attempt_ms=attempt_ms, mark=CommandMark.of(context))


def resume(order_id: str, _state: Order) -> Progress:
    """A run that carries on from the journaled state."""
    return Progress(order_id=order_id)


def joins(progress: Progress, what: Begin) -> Rejected | None:
    """A placement that comes while one runs shares its outcome, if it is the same request."""
    if isinstance(what, Woken) or progress.request is None or progress.request == what:
        return None
    return Rejected("idempotency-key-reused", "This Idempotency-Key was used for another request.")


def in_flight(state: Order | None) -> bool:
    """Whether the journaled state alone says that something is left to do now."""
    if state is None:
        return False
    attempt_open = state.payment is not None and state.payment.status == "open"
    waiting = state.paying and not attempt_open
    return attempt_open or (state.cancelling and not waiting) or state.open_refund is not None


def unsettled(state: Order | None) -> bool:
    """Whether effects after the last event may be missing: all of them may be repeated."""
    return state is not None and (in_flight(state) or _settlement(state, Progress(order_id=state.id)) is not None)


def next_step(state: Order | None, progress: Progress, context: Context) -> Step:
    """What is to be done now. `state` is the committed one."""
    if progress.rest:
        delay_ms = min(BACKOFF_FIRST_MS << min(progress.rounds, 10), BACKOFF_MAX_MS)
        return Wait(delay_ms=delay_ms)
    if state is None:
        return _place(progress)
    if _to_be_charged(state, progress):
        return _charge(state, progress)
    refund = state.open_refund
    if refund is not None:
        return _refund(state, refund, progress)
    if state.cancelling and not state.paying:
        if "give-back" not in progress.done:
            return AskAll(_given_back(state), label="give-back")
        return Decide(order.CompleteCancel())
    expired = state.status == "pending" and not state.paying and not state.cancelling
    if expired and context.earliest_ms >= state.expires_at_ms:
        return Decide(order.ExpireOrder())
    return _settlement(state, progress) or Finished()


# --- placing -------------------------------------------------------------------------------------


def _place(progress: Progress) -> Step:
    request = progress.request
    if request is None:
        return Finished()
    if progress.refusal is not None:
        return _unwind(progress, progress.refusal)
    if progress.lines is None and not request.lines:
        claim = cart.ClaimCart(order_id=progress.order_id, attempt_ms=progress.attempt_ms)
        return Ask(
            entity_type="cart",
            entity_id=request.cart_id,
            command=claim,
            command_id=f"{progress.order_id}:claim:{progress.attempt_ms}",
        )
    wanted = wanted_quantities(progress)
    if progress.prices is None:
        return Price(tuple(wanted))
    refusal = unpriced(request, progress.lines, wanted, progress.prices)
    if refusal is not None:
        return _unwind(progress, refusal.answer, refusal)
    if not progress.reserved:
        return AskAll(
            tuple(
                _stock_ask(
                    progress.order_id,
                    sku,
                    inventory.ReserveStock(
                        order_id=progress.order_id, quantity=quantity, attempt_ms=progress.attempt_ms
                    ),
                    f"reserve:{progress.attempt_ms}",
                )
                for sku, quantity in wanted.items()
            ),
            label="reserve",
        )
    assert progress.mark is not None
    lines, amounts = lines_of(wanted, progress.prices)
    return Decide(
        order.CreateOrder(
            order_id=progress.order_id,
            request=request,
            attempt_ms=progress.attempt_ms,
            mark=progress.mark,
            lines=lines,
            amounts=amounts,
        )
    )


def wanted_quantities(progress: Progress) -> dict[str, int]:
    """Units by SKU, from the request's lines or the claimed cart's; a SKU named twice is wanted twice."""
    assert progress.request is not None
    wanted: dict[str, int] = {}
    for line in progress.lines if progress.lines is not None else progress.request.lines:
        wanted[line.sku] = wanted.get(line.sku, 0) + line.quantity
    return wanted


def _unwind(progress: Progress, answer: Rejected, refusal: Refusal | None = None) -> Step:
    """Give back whatever may be held for this attempt, then refuse."""
    asks: list[Ask] = []
    asks += [
        _stock_ask(
            progress.order_id,
            sku,
            inventory.ReleaseStock(order_id=progress.order_id, attempt_ms=progress.attempt_ms),
            f"release:{progress.attempt_ms}",
        )
        for sku in progress.may_hold
    ]
    if progress.request is not None and progress.lines is not None:
        release = cart.ReleaseClaim(
            order_id=progress.order_id,
            attempt_ms=progress.attempt_ms,
            repriced=refusal.repriced if refusal else (),
        )
        asks.append(_cart_ask(progress.order_id, progress.request.cart_id, release, "release"))
    if asks and "unwind" not in progress.done and progress.rounds < UNWIND_ROUNDS_MAX:
        return AskAll(tuple(asks), label="unwind")
    # Not for try-again: the attempt is closed now, and to begin it once more would come to that at once, in a loop.
    return Finished(reply=answer, retry=answer.code == "attempt-over")


# --- paying --------------------------------------------------------------------------------------


def _to_be_charged(state: Order, progress: Progress) -> bool:
    if state.payment is None:
        return False
    if state.payment.status == "open":
        return True
    return state.payment.status == "unknown" and (progress.woken or progress.charge is not None)


def _charge(state: Order, progress: Progress) -> Step:
    attempt, result = state.payment, progress.charge
    assert attempt is not None
    key, amounts = capture_key(state.id, attempt.n), state.amounts
    if result is None and progress.asked_gateway:
        settle = Decide(order.SettlePayment(n=attempt.n, status="unknown"))
        return Together((settle, _payment_ask(state, payment.RecordUnknown(attempt=_attempted(state)))))
    if result is None and state.cancelling:
        return CloseCharge(key=key, amount_minor=amounts.total, currency=amounts.currency)
    if result is None:
        return Charge(key=key, amount_minor=amounts.total, currency=amounts.currency, token=attempt.method.token)
    if result.status == "captured":
        captured = order.SettlePayment(n=attempt.n, status="captured", reference=result.reference, last4=result.last4)
        return Together((Decide(captured), _record_capture(state, result.reference, result.last4)))
    record = _record_failure(state, result.reason)
    if not state.cancelling and "give-back" not in progress.done and progress.rounds < UNWIND_ROUNDS_MAX:
        return AskAll((*_given_back(state), record), label="give-back")
    failed = order.SettlePayment(
        n=attempt.n,
        status="failed" if result.status == "declined" else "closed",
        reason=result.reason,
        last4=result.last4,
    )
    return Together((Decide(failed), record))


def _attempted(state: Order) -> payment.Attempted:
    assert state.payment is not None
    return payment.Attempted(
        key=capture_key(state.id, state.payment.n),
        user_id=state.user_id,
        amount=state.amounts.total,
        currency=state.amounts.currency,
        method_type=state.payment.method.type,
    )


def _record_capture(state: Order, reference: str, last4: str) -> Ask:
    return _payment_ask(state, payment.RecordCapture(attempt=_attempted(state), reference=reference, last4=last4))


def _record_failure(state: Order, reason: str) -> Ask:
    return _payment_ask(state, payment.RecordFailure(attempt=_attempted(state), reason=reason))


def _refund(state: Order, request: order.RefundRequest, progress: Progress) -> Step:
    assert state.payment is not None
    key = refund_key(state.id, request.n)
    if progress.refunded is None:
        return Refund(
            key=key,
            of_key=capture_key(state.id, state.payment.n),
            amount_minor=request.amount,
            currency=state.amounts.currency,
        )
    # The capture goes first: whoever crashed between the order's and the payment's journal left it out.
    if f"capture-before:{key}" not in progress.done:
        capture = _record_capture(state, state.payment.reference, state.payment.last4)
        return AskAll((capture,), label=f"capture-before:{key}")
    if f"record:{key}" not in progress.done:
        given = payment.RecordRefund(key=key, amount=request.amount, reference=progress.refunded.reference)
        return AskAll((_payment_ask(state, given),), label=f"record:{key}")
    return Decide(order.CompleteRefund(n=request.n))


# --- settling ------------------------------------------------------------------------------------


def _settlement(state: Order, progress: Progress) -> Step | None:
    """What others must still hear about where the order stands; None when they all have."""
    sold = state.status in ("confirmed", "shipped", "delivered", "refunded")
    # By what it tells: an order that is paid while its cart is being told is not settled by that.
    label = "settle:sold" if sold else f"settle:{state.status}"
    if label in progress.done or state.paying or state.cancelling:
        return None
    asks: list[Ask] = []
    if sold:
        assert state.payment is not None
        asks = [
            _stock_ask(
                state.id,
                line.sku,
                inventory.CommitStock(order_id=state.id, attempt_ms=state.attempt_ms),
                "commit",
            )
            for line in state.lines
        ]
        if "captured" not in progress.done:
            asks.append(_record_capture(state, state.payment.reference, state.payment.last4))
        asks += _cart_word(state)
    elif state.status == "pending":
        asks = list(_cart_word(state))
    elif state.status in ("expired", "payment_failed") and "give-back" not in progress.done:
        asks = list(_given_back(state))
    return AskAll(tuple(asks), label=label) if asks else None


def _given_back(state: Order) -> tuple[Ask, ...]:
    """Release what the order holds, or return what it bought; the cart and a failed payment hear of it too."""
    asks: list[Ask] = []
    for line in state.lines:
        if state.status == "confirmed":
            back: Any = inventory.ReturnStock(order_id=state.id, quantity=line.quantity)
        else:
            back = inventory.ReleaseStock(order_id=state.id, attempt_ms=state.attempt_ms)
        asks.append(_stock_ask(state.id, line.sku, back, "back"))
    asks += _cart_word(state)
    if state.payment is not None and state.payment.status in ("failed", "closed"):
        asks.append(_record_failure(state, state.payment.reason))
    return tuple(asks)


def _cart_word(state: Order) -> tuple[Ask, ...]:
    """What becomes of the claimed lines; the same that `InquireClaim` is answered."""
    if not state.cart_id:
        return ()
    if state.placed is not None:
        return (_cart_ask(state.id, state.cart_id, cart.RemoveOrdered(order_id=state.id), "ordered"),)
    release = cart.ReleaseClaim(order_id=state.id, attempt_ms=state.attempt_ms)
    return (_cart_ask(state.id, state.cart_id, release, "back"),)


def _stock_ask(order_id: str, sku: str, command: Any, deed: str) -> Ask:
    return Ask(entity_type="sku", entity_id=sku, command=command, command_id=f"{order_id}:{sku}:{deed}")


def _cart_ask(order_id: str, cart_id: str, command: Any, deed: str) -> Ask:
    return Ask(entity_type="cart", entity_id=cart_id, command=command, command_id=f"{order_id}:cart:{deed}")


def _payment_ask(state: Order, command: Any) -> Ask:
    key = getattr(command, "key", "") or command.attempt.key
    deed = type(command).__name__
    return Ask(entity_type="payment", entity_id=state.id, command=command, command_id=f"{key}:{deed}")


# --- what came of a step -------------------------------------------------------------------------


def record(progress: Progress, step: Step, result: Any) -> Progress:
    """The progress after `step` came to `result`."""
    replace = msgspec.structs.replace
    match step:
        case Wait():
            return replace(progress, rest=False)
        case Ask(command=cart.ClaimCart()):
            return _recorded_claim(progress, result)
        case Price():
            if isinstance(result, Failed):
                return replace(progress, refusal=TRY_AGAIN)
            return replace(progress, prices=result)
        case AskAll(label="reserve", asks=asks):
            # A SKU that refused holds nothing, and a release of nothing would cost a sold-out SKU an event each time.
            may_hold = tuple(
                ask.entity_id for ask, reply in zip(asks, result, strict=True) if not isinstance(reply, Rejected)
            )
            return replace(progress, reserved=True, may_hold=may_hold, refusal=_reservation_refusal(result))
        case AskAll(label=label):
            if any(isinstance(answer, Failed) for answer in result):
                return replace(progress, rounds=progress.rounds + 1, rest=True)
            return replace(progress, done=progress.done | {label}, rounds=0)
        case Ask(command=payment.RecordCapture()):
            done = progress.done if isinstance(result, Failed) else progress.done | {"captured"}
            return replace(progress, done=done)
        case Charge() | CloseCharge():
            charge = result if isinstance(result, ChargeResult) else None
            return replace(progress, charge=charge, asked_gateway=True)
        case Refund():
            if isinstance(result, Failed):
                return replace(progress, rounds=progress.rounds + 1, rest=True)
            return replace(progress, refunded=result, rounds=0)
        case Decide() if isinstance(result, Failed):
            return replace(progress, rounds=progress.rounds + 1, rest=True)
        case Decide(command=order.CreateOrder()):
            return replace(progress, refusal=result, rounds=0) if isinstance(result, Rejected) else progress
        case Decide(command=order.SettlePayment(status="unknown")):
            # Asked, and told that: the next turn is the timer's, or a cancel's, which opens the attempt again.
            return replace(progress, asked_gateway=False, woken=False)
        case Decide(command=order.CompleteRefund()):
            return replace(progress, refunded=None)
        case Together(steps=steps):
            for part, outcome in zip(steps, result, strict=True):
                progress = record(progress, part, outcome)
            return progress
        case _:
            return progress


def _recorded_claim(progress: Progress, result: Any) -> Progress:
    if isinstance(result, cart.Claimed):
        return msgspec.structs.replace(progress, lines=result.lines)
    refusal = result if isinstance(result, Rejected) and result.code not in ATTEMPT_OVER else TRY_AGAIN
    # The claim may have been made all the same: the cart will ask.
    return msgspec.structs.replace(progress, refusal=refusal)


def _reservation_refusal(results: tuple[Any, ...]) -> Rejected | None:
    refusals = [result for result in results if isinstance(result, Rejected)]
    final = next((refusal for refusal in refusals if refusal.code not in ATTEMPT_OVER), None)
    if final is not None:
        return final
    return TRY_AGAIN if refusals or any(isinstance(result, Failed) for result in results) else None
