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
from actors.domain.steps import Ask, AskAll, Decide, Failed, Finished, Step, Wait

QUESTIONS_AT_ONCE_MAX = 512
SETTLED_AT_ONCE_MAX = 1_000
"""Verdicts a decision: each may become an event, and an append has a bound."""
ASK_AGAIN_FIRST_MS = 1_000
ASK_AGAIN_MAX_MS = 30_000
ROUNDS_MAX = 6
"""Rounds of questions beyond the first: a minute. Whoever is silent for longer is asked at the hold's next check."""


class HoldsDue(msgspec.Struct, frozen=True, kw_only=True):
    """A run over the holds whose check is due: those to be asked about, those expired, the last words so far.

    `silent`: their orders gave no answer in this round. `rounds`: how many were begun again.
    """

    sku: str
    asking: tuple[Hold, ...]
    expired: tuple[str, ...]
    verdicts: tuple[HoldVerdict, ...] = ()
    silent: tuple[Hold, ...] = ()
    rounds: int = 0


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
    """Ask, some at a time; settle what was answered; ask the silent ones again a little later."""
    said = len(progress.verdicts) + len(progress.expired)
    if said >= SETTLED_AT_ONCE_MAX or (said and not progress.asking):
        verdicts, expired = progress.verdicts[:SETTLED_AT_ONCE_MAX], progress.expired[:SETTLED_AT_ONCE_MAX]
        return Decide(SettleHolds(verdicts=verdicts, expired=expired))
    if progress.asking:
        return AskAll(tuple(_question(progress.sku, hold) for hold in progress.asking[:QUESTIONS_AT_ONCE_MAX]))
    if progress.silent and progress.rounds < ROUNDS_MAX:
        return Wait(delay_ms=min(ASK_AGAIN_FIRST_MS << progress.rounds, ASK_AGAIN_MAX_MS))
    return Finished()


def _question(sku: str, hold: Hold) -> Ask:
    return Ask(
        entity_type="order",
        entity_id=hold.order_id,
        command=InquireHold(sku=sku, attempt_ms=hold.attempt_ms),
        command_id=f"{hold.id}:inquire",
    )


def record_sku(progress: HoldsDue, step: Step, result: Any) -> HoldsDue:
    """An order that did not answer is asked again in the next round. What says "keep" needs no decision."""
    replace = msgspec.structs.replace
    match step:
        case Decide():
            return replace(
                progress,
                verdicts=progress.verdicts[SETTLED_AT_ONCE_MAX:],
                expired=progress.expired[SETTLED_AT_ONCE_MAX:],
            )
        case Wait():
            return replace(progress, asking=progress.silent, silent=(), rounds=progress.rounds + 1)
    asked, rest = progress.asking[:QUESTIONS_AT_ONCE_MAX], progress.asking[QUESTIONS_AT_ONCE_MAX:]
    words: list[HoldVerdict] = []
    silent: list[Hold] = []
    for hold, word in zip(asked, result, strict=True):
        if not isinstance(word, HoldWord):
            silent.append(hold)
        elif word.verdict != "keep":
            words.append(HoldVerdict(reservation_id=hold.id, attempt_ms=hold.attempt_ms, verdict=word.verdict))
    return replace(progress, asking=rest, verdicts=(*progress.verdicts, *words), silent=(*progress.silent, *silent))


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
