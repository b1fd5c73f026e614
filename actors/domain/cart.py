"""A cart: lines somebody means to buy, and at most one order's claim on them.

    open ──ClaimCart──► claimed ──RemoveOrdered──► open, without what was ordered
                           └──ReleaseClaim──────► open, as before

A claim stores the lines it was given for; the same order gets those again. While it is open every other
order is refused. A claim older than 10 s is resolved by asking its order, when anyone claims or reads. A closed
claim is remembered for a while, so that a straggler of it does not claim what was put in since.
Prices in a cart are what the shopper was shown; what is charged is always the catalog's.
"""

from typing import Literal, TypeAlias, assert_never

import msgspec

from actors.domain.decision import (
    CommandMark,
    Context,
    Decision,
    Outcome,
    Parked,
    Rejected,
    Remembered,
    recall,
    refuse,
    remember,
)

CLAIM_TRUSTED_MS = 10_000
IDLE_TTL_MS = 30 * 24 * 3_600_000
LINES_MAX = 100
LINE_QUANTITY_MAX = 10_000
MERGES_REMEMBERED_MAX = 8
REMEMBERED_BYTES_MAX = 1_048_576
"""Each change stores what it was answered, the whole cart: who changes a large one very fast has to wait."""
CLOSED_CLAIM_MS = 12_000
"""Longer than any command may live (10 s)."""


# --- state ---------------------------------------------------------------------------------------


class CartLine(msgspec.Struct, frozen=True, kw_only=True):
    """Some units of one SKU at the price that was shown."""

    product_id: str
    sku: str
    name: str
    unit_price: int
    price_version: int
    currency: str
    quantity: int


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """An order is being made of these lines."""

    order_id: str
    attempt_ms: int
    claimed_at_ms: int
    lines: tuple[CartLine, ...]


class ClosedClaim(msgspec.Struct, frozen=True, kw_only=True):
    """Up to which attempt an order's claim is over; forgotten at `until_ms`."""

    order_id: str
    attempt_ms: int
    until_ms: int


class Repriced(msgspec.Struct, frozen=True, kw_only=True):
    """A line whose price changed under the shopper."""

    sku: str
    was: int
    now: int


class Merge(msgspec.Struct, frozen=True, kw_only=True):
    """A guest cart that was merged in, at the version it had then."""

    source: str
    source_version: int


class Cart(msgspec.Struct, frozen=True, kw_only=True):
    """One cart, by its account's or its guest's id."""

    id: str
    version: int = 0
    lines: tuple[CartLine, ...] = ()
    claim: Claim | None = None
    closed: tuple[ClosedClaim, ...] = ()
    repriced: tuple[Repriced, ...] = ()
    merges: tuple[Merge, ...] = ()
    recent: tuple[Remembered, ...] = ()
    updated_at_ms: int = 0

    @property
    def expires_at_ms(self) -> int:
        """When an idle cart is dropped."""
        return self.updated_at_ms + IDLE_TTL_MS


# --- commands (expected_version: If-Match, None to change whatever is there) ------------------------


class GetCart(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Read it; resolves a stale claim first."""


class AddLine(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Add units of a SKU, at the catalog's price of now. `available` is the stock seen just before."""

    line: CartLine
    available: int
    expected_version: int | None = None


class SetQuantity(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Set a line's quantity (0 removes it). Without `sku` the product must have exactly one line here."""

    product_id: str
    quantity: int
    sku: str | None = None
    available: dict[str, int] = {}
    expected_version: int | None = None


class ClearCart(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Remove every line. With `if_version`: only at that version, else nothing happens (a merged source)."""

    expected_version: int | None = None
    if_version: int | None = None


class TakeLines(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Merge a guest cart's lines in. Key: (source, source version)."""

    source: str
    source_version: int
    lines: tuple[CartLine, ...]


class ClaimCart(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An order wants the lines. Key: (order, attempt)."""

    order_id: str
    attempt_ms: int


class RemoveOrdered(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The order stands: its lines leave the cart. Acts only while its claim is held."""

    order_id: str


class ReleaseClaim(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An attempt failed, and older ones with it; the lines stay, at these new prices if any."""

    order_id: str
    attempt_ms: int
    repriced: tuple[Repriced, ...] = ()


class SettleClaim(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What the order answered when it was asked about its claim."""

    order_id: str
    attempt_ms: int
    verdict: Literal["keep", "remove", "release"]


class ExpireCart(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Drop the lines of a cart that has been idle too long."""


Command: TypeAlias = (
    GetCart
    | AddLine
    | SetQuantity
    | ClearCart
    | TakeLines
    | ClaimCart
    | RemoveOrdered
    | ReleaseClaim
    | SettleClaim
    | ExpireCart
)
URGENT = (RemoveOrdered, ReleaseClaim, SettleClaim)


class AskAboutClaim(msgspec.Struct, frozen=True, kw_only=True):
    """Begins the saga that resolves a stale claim."""

    order_id: str
    attempt_ms: int


# --- replies -------------------------------------------------------------------------------------


class CartAnswer(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The cart after the command (without what it remembers)."""

    cart: Cart


class Claimed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The lines are this order's to buy."""

    lines: tuple[CartLine, ...]
    version: int


class CartDone(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Nothing more to say."""


Reply: TypeAlias = CartAnswer | Claimed | CartDone | Rejected


# --- events --------------------------------------------------------------------------------------


class ItemAdded(msgspec.Struct, frozen=True, kw_only=True, tag="cart.item_added"):
    """The line as it is now."""

    line: CartLine
    at_ms: int
    mark: CommandMark


class ItemUpdated(msgspec.Struct, frozen=True, kw_only=True, tag="cart.item_updated"):
    """A line's new quantity."""

    sku: str
    quantity: int
    at_ms: int
    mark: CommandMark


class ItemRemoved(msgspec.Struct, frozen=True, kw_only=True, tag="cart.item_removed"):
    """A line is gone."""

    sku: str
    at_ms: int
    mark: CommandMark


class CartCleared(msgspec.Struct, frozen=True, kw_only=True, tag="cart.cleared"):
    """Every line is gone."""

    at_ms: int
    mark: CommandMark


class CartMerged(msgspec.Struct, frozen=True, kw_only=True, tag="cart.merged"):
    """Another cart's lines came in; `lines` is the whole cart afterwards."""

    merge: Merge
    lines: tuple[CartLine, ...]
    at_ms: int
    mark: CommandMark


class CartClaimed(msgspec.Struct, frozen=True, kw_only=True, tag="cart.claimed"):
    """An order has the lines."""

    claim: Claim


class CartOrdered(msgspec.Struct, frozen=True, kw_only=True, tag="cart.ordered"):
    """What was ordered left the cart."""

    order_id: str
    at_ms: int


class ClaimReleased(msgspec.Struct, frozen=True, kw_only=True, tag="cart.claim_released"):
    """No order came of the claim."""

    order_id: str
    repriced: tuple[Repriced, ...]
    at_ms: int


class CartExpired(msgspec.Struct, frozen=True, kw_only=True, tag="cart.expired"):
    """Idle for 30 days."""

    at_ms: int


Event: TypeAlias = (
    ItemAdded
    | ItemUpdated
    | ItemRemoved
    | CartCleared
    | CartMerged
    | CartClaimed
    | CartOrdered
    | ClaimReleased
    | CartExpired
)
Change: TypeAlias = AddLine | SetQuantity | ClearCart | TakeLines


# --- decide --------------------------------------------------------------------------------------


def decide(state: Cart, command: Command, context: Context) -> Outcome:
    """What this command does to the cart now.

    Refusals: insufficient-stock, too-many-lines, too-many-units, ambiguous-sku, item-not-found, version-mismatch,
    empty-cart, cart-checked-out, attempt-superseded, attempt-closed, idempotency-key-reused, try-again.
    """
    match command:
        case GetCart():
            return _asking(state, context) or _answer(state)
        case AddLine() | SetQuantity() | ClearCart() | TakeLines():
            return _change(state, command, context)
        case ClaimCart():
            return _claim(state, command, context)
        case RemoveOrdered(order_id=order_id):
            if state.claim is None or state.claim.order_id != order_id:
                return Decision(reply=CartDone())
            return Decision((CartOrdered(order_id=order_id, at_ms=context.earliest_ms),), CartDone())
        case ReleaseClaim():
            if not _holds(state, command.order_id, command.attempt_ms):
                return Decision(reply=CartDone())
            return Decision((_released(command.order_id, command.repriced, context),), CartDone())
        case SettleClaim():
            return _settle(state, command, context)
        case ExpireCart():
            if not state.lines or state.expires_at_ms > context.earliest_ms:
                return Decision(reply=CartDone())
            if state.claim is not None:
                return _asking(state, context) or Decision(reply=CartDone())
            return Decision((CartExpired(at_ms=context.earliest_ms),), CartDone())
        case _:
            assert_never(command)


def _answer(state: Cart) -> Decision:
    return Decision(reply=CartAnswer(cart=public(state)))


def public(state: Cart) -> Cart:
    """The cart without what it remembers of commands."""
    return msgspec.structs.replace(state, recent=(), merges=(), closed=())


def _asking(state: Cart, context: Context) -> Parked | None:
    """The order of a claim that is too old to be trusted must be asked first."""
    claim = state.claim
    if claim is None or context.earliest_ms < claim.claimed_at_ms + CLAIM_TRUSTED_MS:
        return None
    return Parked(AskAboutClaim(order_id=claim.order_id, attempt_ms=claim.attempt_ms))


def _holds(state: Cart, order_id: str, attempt_ms: int) -> bool:
    claim = state.claim
    return claim is not None and claim.order_id == order_id and claim.attempt_ms <= attempt_ms


def _released(order_id: str, repriced: tuple[Repriced, ...], context: Context) -> ClaimReleased:
    return ClaimReleased(order_id=order_id, repriced=repriced, at_ms=context.earliest_ms)


def _settle(state: Cart, command: SettleClaim, context: Context) -> Decision:
    claim = state.claim
    if claim is None or claim.order_id != command.order_id or claim.attempt_ms != command.attempt_ms:
        return Decision(reply=CartDone())
    if command.verdict == "keep":
        # Still in flight: trusted for another while, so that not every reader asks again.
        trusted = msgspec.structs.replace(claim, claimed_at_ms=context.earliest_ms)
        return Decision((CartClaimed(claim=trusted),), CartDone())
    if command.verdict == "remove":
        return Decision((CartOrdered(order_id=claim.order_id, at_ms=context.earliest_ms),), CartDone())
    return Decision((_released(claim.order_id, (), context),), CartDone())


def _claim(state: Cart, command: ClaimCart, context: Context) -> Outcome:
    claim = state.claim
    if claim is not None and claim.order_id != command.order_id:
        return _asking(state, context) or refuse(
            "cart-checked-out", "Another order is being made of this cart.", orderId=claim.order_id
        )
    if claim is not None and claim.attempt_ms >= command.attempt_ms:
        if claim.attempt_ms > command.attempt_ms:
            return refuse("attempt-superseded", "A newer attempt of the order holds this cart.")
        return Decision(reply=Claimed(lines=claim.lines, version=state.version))
    if any(closed.order_id == command.order_id and closed.attempt_ms >= command.attempt_ms for closed in state.closed):
        return refuse("attempt-closed", "This attempt of the order is over.")
    lines = claim.lines if claim is not None else state.lines
    if not lines:
        return refuse("empty-cart", "There is nothing in this cart.")
    event = CartClaimed(
        claim=Claim(
            order_id=command.order_id, attempt_ms=command.attempt_ms, claimed_at_ms=context.earliest_ms, lines=lines
        )
    )
    return Decision((event,), Claimed(lines=lines, version=state.version + 1))


def _change(state: Cart, command: Change, context: Context) -> Decision:
    known = recall(state.recent, context)
    if isinstance(known, Rejected):
        return Decision(reply=known)
    if known is not None:
        return Decision(reply=msgspec.json.decode(known.reply, type=CartAnswer), replayed=True)
    if sum(len(known.reply) for known in state.recent if known.until_ms > context.earliest_ms) > REMEMBERED_BYTES_MAX:
        return refuse("try-again", "This cart is being changed too fast.")
    expected = None if isinstance(command, TakeLines) else command.expected_version
    if expected is not None and expected != state.version:
        return refuse("version-mismatch", "The cart has changed.", version=state.version)
    event: Event | Rejected | None
    match command:
        case AddLine():
            event = _added(state, command, context)
        case SetQuantity():
            event = _set(state, command, context)
        case ClearCart():
            if command.if_version is not None and (command.if_version != state.version or not state.lines):
                return _answer(state)
            event = CartCleared(at_ms=context.earliest_ms, mark=CommandMark.of(context))
        case TakeLines():
            event = _merged(state, command, context)
        case _:
            assert_never(command)
    if event is None:
        return _answer(state)
    if isinstance(event, Rejected):
        return Decision(reply=event)
    return Decision((event,), CartAnswer(cart=public(apply(state, event))))


def _added(state: Cart, command: AddLine, context: Context) -> Event | Rejected:
    line = command.line
    present = next((held for held in state.lines if held.sku == line.sku), None)
    quantity = line.quantity + (present.quantity if present else 0)
    if present is None and len(state.lines) >= LINES_MAX:
        return Rejected("too-many-lines", f"A cart holds at most {LINES_MAX} lines.")
    refusal = _refused_quantity(line.sku, quantity if line.quantity > 0 else 0, command.available)
    if refusal is not None:
        return refusal
    added = msgspec.structs.replace(line, quantity=quantity)
    return ItemAdded(line=added, at_ms=context.earliest_ms, mark=CommandMark.of(context))


def _refused_quantity(sku: str, quantity: int, available: int) -> Rejected | None:
    if not 0 < quantity <= LINE_QUANTITY_MAX:
        return Rejected("too-many-units", f"A line holds 1 to {LINE_QUANTITY_MAX} units.")
    if quantity > available:
        return Rejected("insufficient-stock", f"Only {available} left.", {"sku": sku, "available": available})
    return None


def _set(state: Cart, command: SetQuantity, context: Context) -> Event | Rejected:
    lines = [
        line
        for line in state.lines
        if line.product_id == command.product_id and (command.sku is None or line.sku == command.sku)
    ]
    if not lines:
        return Rejected("item-not-found", "This product is not in the cart.")
    if len(lines) > 1:
        return Rejected("ambiguous-sku", "Several variants of this product are in the cart: name the sku.")
    # An unchanged quantity is journaled too: a repeat must find its answer, not set the quantity back.
    line, mark = lines[0], CommandMark.of(context)
    if command.quantity == 0:
        return ItemRemoved(sku=line.sku, at_ms=context.earliest_ms, mark=mark)
    if not 0 < command.quantity <= line.quantity:
        refusal = _refused_quantity(line.sku, command.quantity, command.available.get(line.sku, 0))
        if refusal is not None:
            return refusal
    return ItemUpdated(sku=line.sku, quantity=command.quantity, at_ms=context.earliest_ms, mark=mark)


def _merged(state: Cart, command: TakeLines, context: Context) -> Event | Rejected | None:
    merge = Merge(source=command.source, source_version=command.source_version)
    if merge in state.merges or not command.lines:
        return None
    by_sku = {line.sku: line for line in state.lines}
    for line in command.lines:
        present = by_sku.get(line.sku)
        quantity = min(line.quantity + (present.quantity if present else 0), LINE_QUANTITY_MAX)
        by_sku[line.sku] = msgspec.structs.replace(line, quantity=quantity)
    if len(by_sku) > LINES_MAX:
        return Rejected("too-many-lines", f"A cart holds at most {LINES_MAX} lines.")
    return CartMerged(
        merge=merge, lines=tuple(by_sku.values()), at_ms=context.earliest_ms, mark=CommandMark.of(context)
    )


# --- apply ---------------------------------------------------------------------------------------


def apply(state: Cart, event: Event) -> Cart:
    """The state after the event."""
    after = _applied(msgspec.structs.replace(state, version=state.version + 1), event)
    if isinstance(event, CartClaimed | CartOrdered | ClaimReleased | CartExpired):
        return after
    # The remembered answer is the cart as it is now, so it is added last.
    after = msgspec.structs.replace(after, updated_at_ms=event.at_ms)
    reply = msgspec.json.encode(CartAnswer(cart=public(after)))
    return msgspec.structs.replace(after, recent=remember(state.recent, event.mark, reply, event.at_ms))


def _applied(state: Cart, event: Event) -> Cart:
    match event:
        case ItemAdded(line=line):
            present = any(held.sku == line.sku for held in state.lines)
            lines = (
                tuple(line if held.sku == line.sku else held for held in state.lines)
                if present
                else (*state.lines, line)
            )
            return msgspec.structs.replace(state, lines=lines, repriced=_not_of(state.repriced, line.sku))
        case ItemUpdated(sku=sku, quantity=quantity):
            lines = tuple(
                msgspec.structs.replace(line, quantity=quantity) if line.sku == sku else line for line in state.lines
            )
            return msgspec.structs.replace(state, lines=lines, repriced=_not_of(state.repriced, sku))
        case ItemRemoved(sku=sku):
            lines = tuple(line for line in state.lines if line.sku != sku)
            return msgspec.structs.replace(state, lines=lines, repriced=_not_of(state.repriced, sku))
        case CartCleared() | CartExpired():
            return msgspec.structs.replace(state, lines=(), repriced=())
        case CartMerged(merge=merge, lines=lines):
            merges = (*state.merges, merge)[-MERGES_REMEMBERED_MAX:]
            return msgspec.structs.replace(state, lines=lines, merges=merges)
        case CartClaimed(claim=claim):
            return msgspec.structs.replace(state, claim=claim)
        case CartOrdered(at_ms=at_ms):
            closed = _closed(state, at_ms)
            return msgspec.structs.replace(state, lines=_less(state), claim=None, closed=closed, repriced=())
        case ClaimReleased(repriced=repriced, at_ms=at_ms):
            closed = _closed(state, at_ms)
            return _repriced(msgspec.structs.replace(state, claim=None, closed=closed), repriced)
        case _:
            assert_never(event)


def _not_of(repriced: tuple[Repriced, ...], sku: str) -> tuple[Repriced, ...]:
    return tuple(change for change in repriced if change.sku != sku)


def _closed(state: Cart, at_ms: int) -> tuple[ClosedClaim, ...]:
    """What is remembered once the claim is closed."""
    kept = tuple(closed for closed in state.closed if closed.until_ms > at_ms)
    if state.claim is None:
        return kept
    order_id, attempt_ms = state.claim.order_id, state.claim.attempt_ms
    return (*kept, ClosedClaim(order_id=order_id, attempt_ms=attempt_ms, until_ms=at_ms + CLOSED_CLAIM_MS))


def _less(state: Cart) -> tuple[CartLine, ...]:
    """The lines less what the claim ordered; what was added meanwhile stays."""
    ordered = {line.sku: line.quantity for line in state.claim.lines} if state.claim else {}
    left = (msgspec.structs.replace(line, quantity=line.quantity - ordered.get(line.sku, 0)) for line in state.lines)
    return tuple(line for line in left if line.quantity > 0)


def _repriced(state: Cart, changes: tuple[Repriced, ...]) -> Cart:
    """The lines at their new prices, which the shopper now sees, and what changed."""
    now = {change.sku: change.now for change in changes}
    lines = tuple(
        msgspec.structs.replace(line, unit_price=now[line.sku]) if line.sku in now else line for line in state.lines
    )
    kept = tuple(change for change in state.repriced if change.sku not in now)
    return msgspec.structs.replace(state, lines=lines, repriced=(*kept, *changes))
