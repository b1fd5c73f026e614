"""An inventory SKU: units on hand, and who holds them.

    received + returned = on_hand + sold          available = on_hand - reserved ≥ 0          returned ≤ sold

    command             unheld id                      held id
    ReserveStock        hold, if available             same attempt: same answer; newer: adopt (or give up, if there
                                                       is not enough); older: nothing
    ReleaseStock        the attempt is closed          reserved - q
    CommitStock         nothing                        reserved - q, on_hand - q, sold + q
    ReturnStock         on_hand + q, returned + q;     reserved - q (it was never committed)
                        a second time: nothing
    AdjustStock         on_hand + delta, received + delta; never below reserved

A reservation is held until its order has a final word: the SKU asks the order (see `check_times`), it never
decides alone that an order is over. A closed attempt never reserves again: its release may arrive before its
reserve, or once more after a rerun of it. Reservations made through the API (`ext:…`) expire by themselves.
"""

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias, assert_never

import msgspec
from immutables import Map

from actors.domain.attempts import ends_ms
from actors.domain.decision import (
    CommandMark,
    Context,
    Decision,
    Rejected,
    Remembered,
    recall,
    refuse,
    remember,
)
from actors.domain.ids import EXTERNAL_RESERVATION_PREFIX, reservation_id

FIRST_CHECK_AFTER_MS = 10_000
HOLD_TTL_MS = 900_000
CHECK_EVERY_MS = 60_000
HOLDS_A_WAKE_MS = 30
"""A wake looks at every hold (150,000: a quarter of a second), so the next one is a ms away for each of so many."""
EXTERNAL_RETRY_MS = 1_000
CLOSED_GENERATION_MS = 12_000
"""Longer than any command may live (10 s): after two generations no straggler of a closed attempt is accepted."""
QUANTITY_MAX = 1_000_000
ON_HAND_MAX = 1_000_000_000


# --- state ---------------------------------------------------------------------------------------


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Units set aside for an order, or (`external`) for somebody who reserved through the API."""

    id: str
    order_id: str
    quantity: int
    attempt_ms: int
    reserved_at_ms: int
    expires_at_ms: int
    external: bool = False


class Sku(msgspec.Struct, frozen=True, kw_only=True):
    """The stock of one SKU. `closed` remembers, for a while, up to which attempt an id was already closed."""

    sku: str
    version: int = 0
    received: int = 0
    returned: int = 0
    on_hand: int = 0
    reserved: int = 0
    sold: int = 0
    holds: Map[str, Hold] = Map()
    closed: Map[str, int] = Map()
    closed_before: Map[str, int] = Map()
    closed_since_ms: int = 0
    recent: tuple[Remembered, ...] = ()

    @property
    def available(self) -> int:
        """Units that can be reserved."""
        return self.on_hand - self.reserved


# --- commands ------------------------------------------------------------------------------------


class ReserveStock(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Hold units for one attempt of an order. Key: (order, sku, attempt)."""

    order_id: str
    quantity: int
    attempt_ms: int


class ReleaseStock(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Give back what this attempt (or an older one) of the order holds."""

    order_id: str
    attempt_ms: int


class CommitStock(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The order is confirmed: its units are sold."""

    order_id: str
    attempt_ms: int


class ReturnStock(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A confirmed order was cancelled: its units come back, once. `already_returned` is read from the store."""

    order_id: str
    quantity: int
    already_returned: bool = False


Verdict: TypeAlias = Literal["keep", "commit", "release"]


class HoldVerdict(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An order's word on one of its reservations."""

    reservation_id: str
    attempt_ms: int
    verdict: Verdict


class SettleHolds(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What the orders answered, and the external holds whose time is over."""

    verdicts: tuple[HoldVerdict, ...]
    expired: tuple[str, ...] = ()


class AdjustStock(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Units received (or lost: negative)."""

    delta: int
    reason: str


class HoldExternally(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Reserve through the API, for `ttl_ms`. The hold's id comes from the command's."""

    order_id: str
    quantity: int
    ttl_ms: int


class ReleaseExternal(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Release through the API."""

    reservation_id: str


class GetStock(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Read the level (most readers use the view)."""


Command: TypeAlias = (
    ReserveStock
    | ReleaseStock
    | CommitStock
    | ReturnStock
    | SettleHolds
    | AdjustStock
    | HoldExternally
    | ReleaseExternal
    | GetStock
)
URGENT = (ReleaseStock, CommitStock, ReturnStock, SettleHolds)


# --- replies -------------------------------------------------------------------------------------


class Reserved(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The units are held."""

    reservation_id: str
    sku: str
    quantity: int
    expires_at_ms: int


class StockLevel(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The level after the command."""

    sku: str
    on_hand: int
    reserved: int
    available: int
    version: int


class StockDone(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Nothing more to say."""


Reply: TypeAlias = Reserved | StockLevel | StockDone | Rejected


# --- events --------------------------------------------------------------------------------------


class StockReserved(msgspec.Struct, frozen=True, kw_only=True, tag="stock.reserved"):
    """Units set aside. Replaces a hold of the same id (a newer attempt adopts or resizes it)."""

    hold: Hold
    mark: CommandMark | None = None


class StockReleased(msgspec.Struct, frozen=True, kw_only=True, tag="stock.released"):
    """A hold was given back. `returns`: it stands for the return of a confirmed order."""

    reservation_id: str
    order_id: str
    quantity: int
    attempt_ms: int
    at_ms: int
    returns: bool = False


class AttemptClosed(msgspec.Struct, frozen=True, kw_only=True, tag="stock.attempt_closed"):
    """A release came for an attempt that holds nothing (yet): it never will."""

    reservation_id: str
    order_id: str
    attempt_ms: int
    at_ms: int


class ReservationExpired(msgspec.Struct, frozen=True, kw_only=True, tag="stock.reservation_expired"):
    """An external hold's time ran out."""

    reservation_id: str
    order_id: str
    quantity: int
    at_ms: int


class StockCommitted(msgspec.Struct, frozen=True, kw_only=True, tag="stock.committed"):
    """Held units were sold."""

    reservation_id: str
    order_id: str
    quantity: int
    attempt_ms: int
    at_ms: int


class StockReturned(msgspec.Struct, frozen=True, kw_only=True, tag="stock.returned"):
    """Sold units came back."""

    order_id: str
    quantity: int
    at_ms: int


class StockAdjusted(msgspec.Struct, frozen=True, kw_only=True, tag="stock.adjusted"):
    """Units received or lost."""

    delta: int
    reason: str
    at_ms: int
    mark: CommandMark


class StockDepleted(msgspec.Struct, frozen=True, kw_only=True, tag="stock.depleted"):
    """Nothing is available any more."""

    at_ms: int


class StockReplenished(msgspec.Struct, frozen=True, kw_only=True, tag="stock.replenished"):
    """Something is available again."""

    available: int
    at_ms: int


Event: TypeAlias = (
    StockReserved
    | StockReleased
    | AttemptClosed
    | ReservationExpired
    | StockCommitted
    | StockReturned
    | StockAdjusted
    | StockDepleted
    | StockReplenished
)


# --- decide --------------------------------------------------------------------------------------


def decide(state: Sku, command: Command, context: Context) -> Decision:
    """What this command does to the stock now.

    Refusals: insufficient-stock, attempt-superseded, attempt-closed, below-reserved, too-many-units, held-by-order,
    reservation-not-found, idempotency-key-reused.
    """
    match command:
        case ReserveStock():
            decision = _reserve(state, command, context)
        case ReleaseStock():
            decision = _release(state, command, context)
        case CommitStock():
            decision = _commit(state, command, context)
        case ReturnStock():
            decision = _return(state, command, context)
        case SettleHolds():
            decision = _settle(state, command, context)
        case AdjustStock():
            decision = _adjust(state, command, context)
        case HoldExternally():
            decision = _hold_externally(state, command, context)
        case ReleaseExternal():
            decision = _release_external(state, command, context)
        case GetStock():
            return Decision(reply=_level(state))
        case _:
            assert_never(command)
    return _with_thresholds(state, decision, context)


def _reserve(state: Sku, command: ReserveStock, context: Context) -> Decision:
    if not 0 < command.quantity <= QUANTITY_MAX:
        return _too_many()
    id_ = reservation_id(command.order_id, state.sku)
    held = state.holds.get(id_)
    if held is None:
        if command.attempt_ms <= closed_attempt(state, id_):
            return refuse("attempt-closed", "This attempt of the order is over.")
    elif command.attempt_ms == held.attempt_ms and command.quantity == held.quantity:
        return Decision(reply=_reserved(state, held))
    elif command.attempt_ms <= held.attempt_ms:
        return refuse("attempt-superseded", "A newer attempt of the order holds this reservation.")
    sellable = state.available + (held.quantity if held else 0)
    if command.quantity > sellable:
        refusal = _insufficient(state, command.quantity)
        # What an older attempt left is given up with it: nobody else will release it for this one.
        return Decision((_released(held, command.attempt_ms, context),), refusal.reply) if held else refusal
    hold = Hold(
        id=id_,
        order_id=command.order_id,
        quantity=command.quantity,
        attempt_ms=command.attempt_ms,
        reserved_at_ms=context.earliest_ms,
        expires_at_ms=context.earliest_ms + HOLD_TTL_MS,
    )
    return Decision((StockReserved(hold=hold),), _reserved(state, hold))


def _release(state: Sku, command: ReleaseStock, context: Context) -> Decision:
    id_ = reservation_id(command.order_id, state.sku)
    held = state.holds.get(id_)
    if held is not None:
        if held.attempt_ms > command.attempt_ms:
            return Decision(reply=StockDone())
        return Decision((_released(held, command.attempt_ms, context),), StockDone())
    if command.attempt_ms <= closed_attempt(state, id_) or context.earliest_ms > ends_ms(command.attempt_ms):
        return Decision(reply=StockDone())
    # The attempt may yet be run again, reserve and become an order; a straggler of this release must not undo that.
    closed = AttemptClosed(
        reservation_id=id_, order_id=command.order_id, attempt_ms=command.attempt_ms, at_ms=context.earliest_ms
    )
    return Decision((closed,), StockDone())


def _commit(state: Sku, command: CommitStock, context: Context) -> Decision:
    held = state.holds.get(reservation_id(command.order_id, state.sku))
    if held is None or held.attempt_ms > command.attempt_ms:
        return Decision(reply=StockDone())
    return Decision((_committed(held, context),), StockDone())


def _released(held: Hold, attempt_ms: int, context: Context, *, returns: bool = False) -> StockReleased:
    """`attempt_ms`: up to which attempt it is closed."""
    return StockReleased(
        reservation_id=held.id,
        order_id=held.order_id,
        quantity=held.quantity,
        attempt_ms=attempt_ms,
        at_ms=context.earliest_ms,
        returns=returns,
    )


def _committed(held: Hold, context: Context) -> StockCommitted:
    return StockCommitted(
        reservation_id=held.id,
        order_id=held.order_id,
        quantity=held.quantity,
        attempt_ms=held.attempt_ms,
        at_ms=context.earliest_ms,
    )


def _return(state: Sku, command: ReturnStock, context: Context) -> Decision:
    if command.already_returned:
        return Decision(reply=StockDone(), replayed=True)
    held = state.holds.get(reservation_id(command.order_id, state.sku))
    if held is not None:
        return Decision((_released(held, held.attempt_ms, context, returns=True),), StockDone())
    returned = StockReturned(order_id=command.order_id, quantity=command.quantity, at_ms=context.earliest_ms)
    return Decision((returned,), StockDone())


def _settle(state: Sku, command: SettleHolds, context: Context) -> Decision:
    events: dict[str, Event] = {}  # at most one a hold, whatever is said twice
    for word in command.verdicts:
        held = state.holds.get(word.reservation_id)
        if held is None or held.external or held.attempt_ms != word.attempt_ms or word.verdict == "keep":
            continue
        commit = word.verdict == "commit"
        closing = _committed(held, context) if commit else _released(held, held.attempt_ms, context)
        events.setdefault(held.id, closing)
    for id_ in command.expired:
        held = state.holds.get(id_)
        if held is not None and held.external and held.expires_at_ms <= context.earliest_ms:
            events.setdefault(held.id, _expiry(held, context))
    return Decision(tuple(events.values()), StockDone())


def _expiry(held: Hold, context: Context) -> ReservationExpired:
    return ReservationExpired(
        reservation_id=held.id, order_id=held.order_id, quantity=held.quantity, at_ms=context.earliest_ms
    )


def _adjust(state: Sku, command: AdjustStock, context: Context) -> Decision:
    known = recall(state.recent, context)
    if isinstance(known, Rejected):
        return Decision(reply=known)
    if known is not None:
        return Decision(reply=msgspec.json.decode(known.reply, type=StockLevel), replayed=True)
    on_hand = state.on_hand + command.delta
    if on_hand < state.reserved:
        return refuse("below-reserved", "Units that are reserved cannot be taken away.", reserved=state.reserved)
    if on_hand > ON_HAND_MAX:
        return refuse("too-many-units", f"A SKU holds at most {ON_HAND_MAX} units.")
    event = StockAdjusted(
        delta=command.delta, reason=command.reason, at_ms=context.earliest_ms, mark=CommandMark.of(context)
    )
    return Decision((event,), _level_after(state, event))


def _hold_externally(state: Sku, command: HoldExternally, context: Context) -> Decision:
    known = recall(state.recent, context)
    if isinstance(known, Rejected):
        return Decision(reply=known)
    if known is not None:
        return Decision(reply=msgspec.json.decode(known.reply, type=Reserved), replayed=True)
    id_ = EXTERNAL_RESERVATION_PREFIX + context.command_id
    held = state.holds.get(id_)
    if held is not None:
        return Decision(reply=_reserved(state, held), replayed=True)
    if not 0 < command.quantity <= QUANTITY_MAX:
        return _too_many()
    if command.quantity > state.available:
        return _insufficient(state, command.quantity)
    hold = Hold(
        id=id_,
        order_id=command.order_id,
        quantity=command.quantity,
        attempt_ms=context.not_after_ms,
        reserved_at_ms=context.earliest_ms,
        expires_at_ms=context.earliest_ms + command.ttl_ms,
        external=True,
    )
    return Decision((StockReserved(hold=hold, mark=CommandMark.of(context)),), _reserved(state, hold))


def _release_external(state: Sku, command: ReleaseExternal, context: Context) -> Decision:
    held = state.holds.get(command.reservation_id)
    if not command.reservation_id.startswith(EXTERNAL_RESERVATION_PREFIX):
        if held is not None:
            return refuse("held-by-order", "An order's reservation is released by the order.")
        return refuse("reservation-not-found", "No such reservation.")
    if held is None:
        return Decision(reply=_level(state), replayed=True)
    released = _released(held, held.attempt_ms, context)
    return Decision((released,), _level_after(state, released))


def _with_thresholds(state: Sku, decision: Decision, context: Context) -> Decision:
    """Adds the fact that the SKU ran out, or came back, where the events cross that line."""
    if not decision.events:
        return decision
    # Counted, not applied: every command of a hot SKU passes here, and the runtime applies its events anyway.
    before = after = state.available
    for event in decision.events:
        after += _made_available(state, event)
    if (before > 0) == (after > 0):
        return decision
    if after > 0:
        crossed: Event = StockReplenished(available=after, at_ms=context.earliest_ms)
    else:
        crossed = StockDepleted(at_ms=context.earliest_ms)
    return Decision((*decision.events, crossed), decision.reply, decision.replayed)


def _made_available(state: Sku, event: Event) -> int:
    """By how much the event changes what is available."""
    match event:
        case StockReserved(hold=hold):
            held = state.holds.get(hold.id)
            return (held.quantity if held else 0) - hold.quantity
        case StockCommitted() | AttemptClosed() | StockDepleted() | StockReplenished():
            return 0
        case StockReleased() | ReservationExpired() | StockReturned():
            return event.quantity
        case StockAdjusted():
            return event.delta
        case _:
            assert_never(event)


def _too_many() -> Decision:
    return refuse("too-many-units", f"A quantity lies between 1 and {QUANTITY_MAX}.")


def _insufficient(state: Sku, wanted: int) -> Decision:
    return refuse(
        "insufficient-stock", f"Only {state.available} left.", sku=state.sku, available=state.available, wanted=wanted
    )


def _reserved(state: Sku, hold: Hold) -> Reserved:
    return Reserved(reservation_id=hold.id, sku=state.sku, quantity=hold.quantity, expires_at_ms=hold.expires_at_ms)


def _level(state: Sku) -> StockLevel:
    return StockLevel(
        sku=state.sku,
        on_hand=state.on_hand,
        reserved=state.reserved,
        available=state.available,
        version=state.version,
    )


def _level_after(state: Sku, event: Event) -> StockLevel:
    """The level once the event, and the threshold event that follows if it crosses that line, are applied."""
    on_hand = state.on_hand + (event.delta if isinstance(event, StockAdjusted) else 0)
    available = state.available + _made_available(state, event)
    crosses = (state.available > 0) != (available > 0)
    return StockLevel(
        sku=state.sku,
        on_hand=on_hand,
        reserved=on_hand - available,
        available=available,
        version=state.version + (2 if crosses else 1),
    )


def closed_attempt(state: Sku, id_: str) -> int:
    """The newest attempt of this reservation id that was closed recently (0: none remembered)."""
    return max(state.closed.get(id_, 0), state.closed_before.get(id_, 0))


# --- apply ---------------------------------------------------------------------------------------


def apply(state: Sku, event: Event) -> Sku:
    """The state after the event."""
    after = _applied(state, event)
    balanced = after.received + after.returned == after.on_hand + after.sold and after.returned <= after.sold
    if not 0 <= after.reserved <= after.on_hand or not balanced:
        raise AssertionError(f"stock of {state.sku} is out of balance after {event}")
    return after


def _applied(state: Sku, event: Event) -> Sku:
    version = state.version + 1
    match event:
        case StockReserved(hold=hold, mark=mark):
            before = state.holds.get(hold.id)
            reserved = state.reserved + hold.quantity - (before.quantity if before else 0)
            recent = state.recent
            if mark is not None:
                reply = msgspec.json.encode(_reserved(state, hold))
                recent = remember(recent, mark, reply, hold.reserved_at_ms)
            return msgspec.structs.replace(
                state, version=version, reserved=reserved, holds=state.holds.set(hold.id, hold), recent=recent
            )
        case StockReleased() | ReservationExpired():
            attempt_ms = event.attempt_ms if isinstance(event, StockReleased) else 0
            return _without(state, event.reservation_id, attempt_ms, event.at_ms, sold=0)
        case StockCommitted():
            return _without(state, event.reservation_id, event.attempt_ms, event.at_ms, sold=event.quantity)
        case AttemptClosed():
            return _closed(state, event.reservation_id, event.attempt_ms, event.at_ms)
        case StockReturned(quantity=quantity):
            return msgspec.structs.replace(
                state, version=version, on_hand=state.on_hand + quantity, returned=state.returned + quantity
            )
        case StockAdjusted(delta=delta, mark=mark):
            return msgspec.structs.replace(
                state,
                version=version,
                on_hand=state.on_hand + delta,
                received=state.received + delta,
                recent=remember(state.recent, mark, msgspec.json.encode(_level_after(state, event)), event.at_ms),
            )
        case StockDepleted() | StockReplenished():
            return msgspec.structs.replace(state, version=version)
        case _:
            assert_never(event)


def _without(state: Sku, id_: str, attempt_ms: int, at_ms: int, *, sold: int) -> Sku:
    """The state without this hold; its attempt is remembered as closed."""
    return _closed(
        state,
        id_,
        attempt_ms,
        at_ms,
        reserved=state.reserved - state.holds[id_].quantity,
        on_hand=state.on_hand - sold,
        sold=state.sold + sold,
        holds=state.holds.delete(id_),
    )


def _closed(state: Sku, id_: str, attempt_ms: int, at_ms: int, **changes: Any) -> Sku:
    """The state with the attempt remembered as closed (see `CLOSED_GENERATION_MS`), and these changes."""
    closed, before, since = state.closed, state.closed_before, state.closed_since_ms
    if at_ms - since > CLOSED_GENERATION_MS:
        closed, before, since = Map(), closed, at_ms
    return msgspec.structs.replace(
        state,
        version=state.version + 1,
        closed=closed.set(id_, attempt_ms) if attempt_ms else closed,
        closed_before=before,
        closed_since_ms=since,
        **changes,
    )


# --- time ----------------------------------------------------------------------------------------


def next_check_ms(hold: Hold, since_ms: int) -> int:
    """When this hold is to be looked at next, after `since_ms`.

    An order's hold: 10 s after reserving, at its expiry, then every minute, until the order has a final word.
    An external one: at its expiry, then every second until that is journaled.
    """
    if hold.external:
        return hold.expires_at_ms if since_ms < hold.expires_at_ms else since_ms + EXTERNAL_RETRY_MS
    first = hold.reserved_at_ms + FIRST_CHECK_AFTER_MS
    if since_ms < first:
        return first
    if since_ms < hold.expires_at_ms:
        return hold.expires_at_ms
    return hold.expires_at_ms + ((since_ms - hold.expires_at_ms) // CHECK_EVERY_MS + 1) * CHECK_EVERY_MS


def next_due(state: Sku, since_ms: int) -> int | None:
    """The earliest check of any hold after `since_ms`, or a little later if there are very many. O(holds)."""
    earliest_ms = min((next_check_ms(hold, since_ms) for hold in state.holds.values()), default=None)
    return None if earliest_ms is None else max(earliest_ms, since_ms + len(state.holds) // HOLDS_A_WAKE_MS)


def due_after(_state: Sku, event: Event, due_ms: int | None) -> int | None:
    """The due time after an event: only a new hold can bring it forward."""
    if not isinstance(event, StockReserved):
        return due_ms
    check = next_check_ms(event.hold, 0)
    return check if due_ms is None else min(due_ms, check)


def holds_due(state: Sku, since_ms: int, now_ms: int) -> Iterable[Hold]:
    """The holds whose check fell between the last wake and now. O(holds)."""
    return (hold for hold in state.holds.values() if next_check_ms(hold, since_ms) <= now_ms)


# --- snapshot ------------------------------------------------------------------------------------


class SkuSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """`Sku` as stored: its maps as plain dictionaries and lists."""

    sku: str
    version: int
    received: int
    returned: int
    on_hand: int
    sold: int
    holds: tuple[Hold, ...]
    closed: dict[str, int]
    closed_before: dict[str, int]
    closed_since_ms: int
    recent: tuple[Remembered, ...]


def encode(state: Sku) -> bytes:
    """The stored form."""
    return msgspec.json.encode(
        SkuSnapshot(
            sku=state.sku,
            version=state.version,
            received=state.received,
            returned=state.returned,
            on_hand=state.on_hand,
            sold=state.sold,
            holds=tuple(state.holds.values()),
            closed=dict(state.closed),
            closed_before=dict(state.closed_before),
            closed_since_ms=state.closed_since_ms,
            recent=state.recent,
        )
    )


def decode(data: bytes) -> Sku:
    """The state from its stored form; `reserved` is derived from the holds, never stored."""
    stored = msgspec.json.decode(data, type=SkuSnapshot)
    return Sku(
        sku=stored.sku,
        version=stored.version,
        received=stored.received,
        returned=stored.returned,
        on_hand=stored.on_hand,
        reserved=sum(hold.quantity for hold in stored.holds),
        sold=stored.sold,
        holds=Map({hold.id: hold for hold in stored.holds}),
        closed=Map(stored.closed),
        closed_before=Map(stored.closed_before),
        closed_since_ms=stored.closed_since_ms,
        recent=stored.recent,
    )
