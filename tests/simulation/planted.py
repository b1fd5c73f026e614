"""Bugs that a run can be given. Each is a real mistake somebody could make; `test_planted_bugs` has each of them found."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from actors.domain import checkout, inventory, order, order_rules
from actors.domain.decision import Context, Decision
from actors.domain.steps import Decide
from actors.registry import ENTITY_TYPES
from actors.runtime.entity_type import EntityType
from actors.runtime.planted_bugs import PlantedBugs
from actors.runtime.refusals import Refusals
from cluster import ownership, reconcile
from cluster.clock import by_earliest
from persistence.memory.ownership import MemoryOwnership
from persistence.records import HostRow, ShardRow
from persistence.stores import Stores
from tests.simulation.world import Plant


def _types(**changed: EntityType) -> dict[str, EntityType]:
    return {**ENTITY_TYPES, **changed}


def _with(name: str, **functions: Any) -> EntityType:
    return dataclasses.replace(ENTITY_TYPES[name], **functions)


# --- nothing is remembered of a command ----------------------------------------------------------------


def _forgetful(type_: EntityType) -> EntityType:
    """No entity remembers which commands it has done."""

    def decide(state: Any, command: Any, context: Context) -> Any:
        if state is not None:
            changes = {name: () for name in ("recent", "merges") if hasattr(state, name)}
            state = msgspec.structs.replace(state, **changes)
        return type_.decide(state, command, context)

    return dataclasses.replace(type_, decide=decide)


# --- stock ------------------------------------------------------------------------------------------------


def _never_releases(state: inventory.Sku, command: Any, context: Context) -> Any:
    if isinstance(command, inventory.ReleaseStock):
        return Decision(reply=inventory.StockDone())
    return inventory.decide(state, command, context)


def _releases_never_at_all(state: inventory.Sku, command: Any, context: Context) -> Any:
    if isinstance(command, inventory.SettleHolds):
        kept = tuple(word for word in command.verdicts if word.verdict != "release")
        command = msgspec.structs.replace(command, verdicts=kept)
    return _never_releases(state, command, context)


def _marked_once() -> Callable[[Any, str], tuple[str, str] | None]:
    """The row that a return leaves, the first time; or the row's key would refuse the second one."""
    marked: set[tuple[str, str]] = set()

    def returns(event: Any, sku: str) -> tuple[str, str] | None:
        row = ENTITY_TYPES["sku"].returns(event, sku)
        if row is None or row in marked:
            return None
        marked.add(row)
        return row

    return returns


async def _not_looked_up(command: Any, _sku: str, _stores: Stores) -> Any:
    return command


# --- orders -----------------------------------------------------------------------------------------------


def _expires_regardless(state: order.Order | None, command: Any, context: Context) -> Any:
    late = state is not None and context.earliest_ms >= state.expires_at_ms
    if isinstance(command, order.ExpireOrder) and state is not None and late and state.status == "pending":
        return Decision((order.OrderExpired(at_ms=context.earliest_ms),), order.OrderAnswer(order=state))
    return order_rules.decide(state, command, context)


def _expiring_step(state: order.Order | None, progress: Any, context: Context) -> Any:
    saga = ENTITY_TYPES["order"].saga
    assert saga is not None
    if state is not None and state.status == "pending" and context.earliest_ms >= state.expires_at_ms:
        return Decide(order.ExpireOrder())
    return saga.next_step(state, progress, context)


def _expiry_due(state: order.Order | None) -> int | None:
    if state is None or state.status != "pending":
        return None
    return min(state.expires_at_ms, order_rules.due(state) or state.expires_at_ms)


def _expiring_order() -> EntityType:
    saga = ENTITY_TYPES["order"].saga
    assert saga is not None
    return _with(
        "order",
        decide=_expires_regardless,
        saga=dataclasses.replace(saga, next_step=_expiring_step),
        due_after=lambda state, _event, _due_ms: _expiry_due(state),
        next_due=lambda state, _since_ms: _expiry_due(state),
    )


def _believes_callbacks(state: order.Order | None, command: Any, context: Context) -> Any:
    """A callback is taken for the gateway's word instead of a reason to ask for it."""
    if isinstance(command, order.PaymentNews) and state is not None and state.paying:
        assert state.payment is not None
        command = order.SettlePayment(n=state.payment.n, status="captured")
    return order_rules.decide(state, command, context)


def _forgets_attempts(state: inventory.Sku, command: Any, context: Context) -> Any:
    empty = inventory.Sku(sku="").closed
    return inventory.decide(msgspec.structs.replace(state, closed=empty, closed_before=empty), command, context)


# --- ownership ----------------------------------------------------------------------------------------------


class _NameIsEnough(MemoryOwnership):
    """A claim that takes whatever belongs to a host of the same name, whichever incarnation that is."""

    __slots__ = ()

    def _claim(self, shard: int, host: str, incarnation: str, at_least_epoch: int) -> int | None:
        row = self.tables.shards.get(shard)
        if row is not None and row.owner == host:
            self.tables.shards[shard] = msgspec.structs.replace(row, incarnation=incarnation)
        return super()._claim(shard, host, incarnation, at_least_epoch)


def _plan_by_name(
    rows: Iterable[ShardRow], hosts: Iterable[HostRow], me: tuple[str, str], **rest: Any
) -> reconcile.Plan:
    named = [msgspec.structs.replace(row, incarnation=me[1]) if row.owner == me[0] else row for row in rows]
    return reconcile.plan(named, hosts, me, **rest)


def _name_is_enough(stores: Stores) -> Stores:
    held = stores.ownership
    assert isinstance(held, MemoryOwnership)
    return dataclasses.replace(stores, ownership=_NameIsEnough(held.tables, held.clock_ms, held.seams))


PLANTS: dict[str, Callable[[], Plant]] = {
    "fencing off": lambda: Plant(fencing=False),
    "view not joined": lambda: Plant(views_joined=False),
    "dedup off": lambda: Plant(
        types={name: _forgetful(type_) for name, type_ in ENTITY_TYPES.items()}, planted=PlantedBugs(dedup_off=True)
    ),
    "answer before commit": lambda: Plant(planted=PlantedBugs(answer_before_commit=True)),
    "release skipped": lambda: Plant(types=_types(sku=_with("sku", decide=_never_releases))),
    "release skipped, also when the order says so": lambda: Plant(
        types=_types(sku=_with("sku", decide=_releases_never_at_all))
    ),
    "timer lost": lambda: Plant(planted=PlantedBugs(timer_lost=True)),
    "snapshot of uncommitted state": lambda: Plant(planted=PlantedBugs(snapshot_uncommitted=True)),
    "effect before commit": lambda: Plant(planted=PlantedBugs(effect_before_commit=True)),
    "stock returned twice": lambda: Plant(
        types=_types(sku=_with("sku", preload=_not_looked_up, returns=_marked_once()))
    ),
    "attempts without the epoch": lambda: Plant(
        patches=((checkout, "attempt_of", lambda not_after_ms, _epoch: not_after_ms),)
    ),
    "refusals not remembered": lambda: Plant(patches=((Refusals, "of", lambda _self, _message_id: None),)),
    "closed attempts not remembered": lambda: Plant(types=_types(sku=_with("sku", decide=_forgets_attempts))),
    "claim that ignores the incarnation": lambda: Plant(
        stores=_name_is_enough, patches=((ownership, "plan", _plan_by_name),)
    ),
    "expiry with a payment open": lambda: Plant(types=_types(order=_expiring_order())),
    "callback believed": lambda: Plant(types=_types(order=_with("order", decide=_believes_callbacks))),
    "low water moved too far": lambda: Plant(planted=PlantedBugs(low_water_too_far=True)),
    "lease judged by the earliest time": lambda: Plant(lease_judge=by_earliest),
}
