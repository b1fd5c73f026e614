"""The sagas of those who hold something for an order: they ask it, and do what it says.

A SKU asks about its reservations when their check is due; a cart asks about a claim that is too old to be
trusted when somebody claims or reads. Neither ever decides alone that an order is over.
"""

from typing import Any

import msgspec

from actors.domain.cart import AskAboutClaim, Cart, SettleClaim
from actors.domain.decision import Context, Rejected
from actors.domain.inventory import Hold, HoldVerdict, SettleHolds, Sku, holds_due
from actors.domain.order import ClaimWord, HoldWord, InquireClaim, InquireHold
from actors.domain.steps import Ask, AskAll, Decide, Failed, Finished, Step

QUESTIONS_AT_ONCE_MAX = 256


class HoldsDue(msgspec.Struct, frozen=True, kw_only=True):
    """A run over the holds whose check is due: those to be asked about, those expired, the answers so far."""

    sku: str
    asking: tuple[Hold, ...]
    expired: tuple[str, ...]
    verdicts: tuple[HoldVerdict, ...] = ()
    settled: bool = False


def wake_sku(state: Sku, since_ms: int, context: Context) -> HoldsDue | None:
    """The holds whose check fell due since the last wake; None if there are none."""
    due = tuple(holds_due(state, since_ms, context.earliest_ms))
    if not due:
        return None
    return HoldsDue(
        sku=state.sku,
        asking=tuple(hold for hold in due if not hold.external),
        expired=tuple(hold.id for hold in due if hold.external),
    )


def begin_sku(_sku: str, _state: Sku, what: HoldsDue, _context: Context) -> HoldsDue:
    """The run is its own progress."""
    return what


def next_step_sku(_state: Sku, progress: HoldsDue, _context: Context) -> Step:
    """Ask, some at a time; then settle what was answered."""
    if progress.asking:
        return AskAll(tuple(_question(progress.sku, hold) for hold in progress.asking[:QUESTIONS_AT_ONCE_MAX]))
    if not progress.settled:
        return Decide(SettleHolds(verdicts=progress.verdicts, expired=progress.expired))
    return Finished()


def _question(sku: str, hold: Hold) -> Ask:
    return Ask(
        entity_type="order",
        entity_id=hold.order_id,
        command=InquireHold(sku=sku, attempt_ms=hold.attempt_ms),
        command_id=f"{hold.id}:inquire",
    )


def record_sku(progress: HoldsDue, step: Step, result: Any) -> HoldsDue:
    """An order that did not answer is asked again at the hold's next check."""
    if isinstance(step, Decide):
        return msgspec.structs.replace(progress, settled=True)
    asked, rest = progress.asking[:QUESTIONS_AT_ONCE_MAX], progress.asking[QUESTIONS_AT_ONCE_MAX:]
    words = tuple(
        HoldVerdict(reservation_id=hold.id, attempt_ms=hold.attempt_ms, verdict=word.verdict)
        for hold, word in zip(asked, result, strict=True)
        if isinstance(word, HoldWord)
    )
    return msgspec.structs.replace(progress, asking=rest, verdicts=progress.verdicts + words)


class ClaimDue(msgspec.Struct, frozen=True, kw_only=True):
    """A run that resolves one claim."""

    order_id: str
    attempt_ms: int
    word: ClaimWord | Failed | Rejected | None = None
    settled: bool = False


def begin_cart(_cart: str, _state: Cart, what: AskAboutClaim, _context: Context) -> ClaimDue:
    """About the claim that was found too old."""
    return ClaimDue(order_id=what.order_id, attempt_ms=what.attempt_ms)


def next_step_cart(state: Cart, progress: ClaimDue, _context: Context) -> Step:
    """Ask; settle what was answered. Without an answer whoever waits is refused: the cart is still claimed."""
    if progress.word is None:
        question = InquireClaim(attempt_ms=progress.attempt_ms)
        return Ask(
            entity_type="order",
            entity_id=progress.order_id,
            command=question,
            command_id=f"{progress.order_id}:cart:{state.id}:inquire",
        )
    if not isinstance(progress.word, ClaimWord):
        return Finished(Rejected("try-again", "The order that holds this cart did not answer."))
    if not progress.settled:
        return Decide(
            SettleClaim(order_id=progress.order_id, attempt_ms=progress.attempt_ms, verdict=progress.word.verdict)
        )
    return Finished()


def record_cart(progress: ClaimDue, step: Step, result: Any) -> ClaimDue:
    """The order's word, then that it was acted on."""
    if isinstance(step, Decide):
        return msgspec.structs.replace(progress, settled=True)
    return msgspec.structs.replace(progress, word=result)


def never(_state: Sku | Cart) -> bool:
    """These sagas begin with a question only; nothing of theirs is journaled as unfinished."""
    return False


def shared(_progress: Any, _what: Any) -> None:
    """Whoever comes while a question is open waits for its answer."""
