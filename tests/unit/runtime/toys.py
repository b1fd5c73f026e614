"""A toy entity, once for each way a state can survive. It adds numbers, waits, works through a saga, and rings."""

from typing import Any

import msgspec

from actors.domain.decision import Context, Decision, Outcome, Parked, Rejected, refuse
from actors.domain.steps import Ask, Decide, Failed, Finished, Wait
from actors.runtime.entity_type import Checkpoint, EntityType, RowMeta, SagaType
from persistence.records import OrderRow, PaymentRow, StockRow
from persistence.stores import Stores


class Toy(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    version: int = 0
    total: int = 0
    working: int = 0
    """What an open piece of work is about; 0: none."""
    worked: int = 0
    due_ms: int | None = None
    rang: int = 0


class Add(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    n: int
    events: int = 1


class Get(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class WaitFor(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    total: int


class Work(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Parked until the saga has taken `n` from the entity `other`."""

    n: int
    other: str = ""
    crash: bool = False
    pause_ms: int = 0


class Open(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    n: int


class OpenAndWait(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Journals its intent and is parked; the saga of the open work answers it."""

    n: int


class Close(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class RingAt(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    due_ms: int


class Rang(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class Crash(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class GiveBack(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    order_id: str
    already: bool | None = None


Command = Add | Get | WaitFor | Work | Open | OpenAndWait | Close | RingAt | Rang | Crash | GiveBack


class Total(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    total: int
    version: int
    late: bool = False


Reply = Total | Rejected


class Added(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    n: int


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    n: int


class Closed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class AlarmSet(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    due_ms: int


class AlarmRang(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class GaveBack(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    order_id: str


Event = Added | Opened | Closed | AlarmSet | AlarmRang | GaveBack


class Events:
    _decoder = msgspec.json.Decoder(Event)

    def encode(self, event: Any) -> tuple[str, int, bytes]:
        return type(event).__name__, 1, msgspec.json.encode(event)

    def decode(self, type_: str, schema_version: int, body: bytes) -> Any:
        return self._decoder.decode(body)


def answer(state: Toy) -> Total:
    return Total(total=state.total, version=state.version)


def decide(state: Toy, command: Any, context: Context) -> Outcome:
    match command:
        case Add(n=n, events=events):
            after = Total(total=state.total + n * events, version=state.version + events)
            return Decision(tuple(Added(n=n) for _ in range(events)), after)
        case Get():
            return Decision(reply=answer(state))
        case WaitFor(total=total):
            return Decision(reply=answer(state)) if state.total >= total else Parked()
        case Work(n=n):
            return Decision(reply=answer(state)) if state.worked >= n else Parked(command)
        case Open(n=n):
            return Decision((Opened(n=n),), answer(state))
        case OpenAndWait(n=n):
            if state.worked >= n:
                return Decision(reply=answer(state))
            return Parked() if state.working else Parked(events=(Opened(n=n),))
        case Close():
            return Decision((Closed(),), answer(state)) if state.working else refuse("not-open")
        case RingAt(due_ms=due_ms):
            return Decision((AlarmSet(due_ms=due_ms),), answer(state))
        case Rang():
            return Decision((AlarmRang(),), answer(state))
        case GiveBack(order_id=order_id, already=already):
            assert already is not None, "it must be read before it is decided"
            return Decision(reply=answer(state)) if already else Decision((GaveBack(order_id=order_id),), answer(state))
        case _:
            raise RuntimeError("a bug in decide")


def apply(state: Toy, event: Any) -> Toy:
    change: dict[str, Any]
    match event:
        case Added(n=n):
            change = {"total": state.total + n}
        case Opened(n=n):
            change = {"working": n}
        case Closed():
            change = {"working": 0, "worked": max(state.worked, state.working)}
        case AlarmSet(due_ms=due_ms):
            change = {"due_ms": due_ms}
        case AlarmRang():
            change = {"due_ms": None, "rang": state.rang + 1}
        case _:
            change = {"total": state.total + 1}
    return msgspec.structs.replace(state, version=state.version + 1, **change)


# --- the saga: open, take from another entity, close ------------------------------------------------


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    n: int = 0
    other: str = ""
    crash: bool = False
    pause_ms: int = 0
    ring: bool = False
    taken: bool = False
    reply: Any = None


def begin(_id: str, _state: Toy, what: Any, _context: Context) -> Progress:
    if what == "ring":
        return Progress(ring=True)
    return Progress(n=what.n, other=what.other, crash=what.crash, pause_ms=what.pause_ms)


def next_step(state: Toy, progress: Progress, _context: Context) -> Any:
    if progress.crash:
        raise RuntimeError("a bug in the saga")
    if progress.reply is not None:
        return Finished(progress.reply)
    if progress.ring:
        return Decide(Rang()) if state.due_ms is not None else Finished()
    if state.worked >= progress.n and not state.working:
        if state.worked == TOLD_AGAIN and not progress.taken:
            return Ask(entity_type="stock", entity_id="told@9", command=Get(), command_id="tell")
        return Finished()
    if not state.working:
        return Decide(Open(n=progress.n))
    if progress.pause_ms:
        return Wait(delay_ms=progress.pause_ms)
    if progress.other and not progress.taken:
        return Ask(entity_type="stock", entity_id=progress.other, command=Add(n=1), command_id=f"{state.id}:take")
    return Decide(Close())


def record(progress: Progress, step: Any, result: Any) -> Progress:
    replace = msgspec.structs.replace
    match step:
        case Wait():
            return replace(progress, pause_ms=0)
        case Ask(command=Get()):
            return replace(progress, taken=True)
        case Ask() if isinstance(result, Failed):
            return replace(progress, reply=Rejected("no-answer", result.code))
        case Ask():
            return replace(progress, taken=True)
        case _:
            return progress


def joins(progress: Progress, what: Any) -> Rejected | None:
    return None if what == "ring" or what.n == progress.n else Rejected("other-work")


TOLD_AGAIN = 77
"""Work of this number is unsettled for ever: its saga has effects after its last event."""

SAGA = SagaType(
    begin=begin,
    resume=lambda _id, state: Progress(n=state.working),
    next_step=next_step,
    record=record,
    joins=joins,
    in_flight=lambda state: state.working != 0,
    unsettled=lambda state: state.working != 0 or state.worked == TOLD_AGAIN,
)


# --- the types ---------------------------------------------------------------------------------------


def _tally_row(state: Toy, meta: RowMeta) -> OrderRow:
    return OrderRow(
        id=meta.entity_id,
        version=meta.version,
        shard=meta.shard,
        seqs=meta.seqs,
        user_id="",
        status="",
        total_minor=state.total,
        currency="EUR",
        created_at_ms=0,
        updated_at_ms=0,
        state=meta.state,
    )


def _purse_row(state: Toy, meta: RowMeta) -> PaymentRow:
    return PaymentRow(
        id=f"pay_{meta.entity_id}",
        version=meta.version,
        shard=meta.shard,
        seqs=meta.seqs,
        order_id=meta.entity_id,
        user_id="",
        status="",
        amount_minor=state.total,
        captured_minor=0,
        refunded_minor=0,
        currency="EUR",
        created_at_ms=0,
        updated_at_ms=0,
        state=meta.state,
    )


def _stock_row(state: Toy, meta: RowMeta) -> StockRow:
    return StockRow(sku=meta.entity_id, version=meta.version, on_hand=state.total, reserved=0, sold=0)


async def _load_tallies(stores: Stores, ids: list[str]) -> dict[str, Any]:
    return dict(await stores.orders.load(ids))


async def _load_purses(stores: Stores, ids: list[str]) -> dict[str, Any]:
    return dict(await stores.payments.load(ids))


async def _was_returned(command: GiveBack, entity_id: str, stores: Stores) -> GiveBack:
    return msgspec.structs.replace(command, already=await stores.stock.returned(command.order_id, entity_id))


def _due_after(state: Toy, event: Any, due_ms: int | None) -> int | None:
    return state.due_ms if isinstance(event, AlarmSet | AlarmRang) else due_ms


COMMON: dict[str, Any] = {
    "routing_key": lambda id_: id_,
    "commands": Command,
    "replies": Reply,
    "events": Events(),
    "initial": lambda id_: Toy(id=id_),
    "decide": decide,
    "apply": apply,
    "version": lambda state: state.version,
    "encode_state": msgspec.json.encode,
    "decode_state": msgspec.json.Decoder(Toy).decode,
    "urgent": lambda command: isinstance(command, Close),
    "due_after": _due_after,
    "next_due": lambda state, _since_ms: state.due_ms,
    "wake": lambda state, _since_ms, _context: "ring" if state.due_ms is not None else None,
    "saga": SAGA,
    "late": lambda state, command: (
        Total(total=state.total, version=state.version, late=True)
        if isinstance(command, WaitFor) and state.version
        else None
    ),
    "expires_at_ms": lambda _state: 10**15,
}
TALLY = EntityType(
    name="tally", service="orders", checkpoint=Checkpoint.STATE_ROW, view=_tally_row, load=_load_tallies, **COMMON
)
PURSE = EntityType(
    name="purse",
    service="payments",
    checkpoint=Checkpoint.STATE_ROW,
    view=_purse_row,
    load=_load_purses,
    **(COMMON | {"saga": None}),
)
STOCK = EntityType(
    name="stock",
    service="inventory",
    checkpoint=Checkpoint.SNAPSHOT,
    view=_stock_row,
    load=None,
    preload=_was_returned,
    prefers_preload=lambda command: isinstance(command, GiveBack),
    returns=lambda event, entity_id: (event.order_id, entity_id) if isinstance(event, GaveBack) else None,
    **COMMON,
)
NOTE = EntityType(name="note", service=None, checkpoint=Checkpoint.COMPARE_AND_SET, view=None, load=None, **COMMON)
TYPES = (TALLY, PURSE, STOCK, NOTE)
