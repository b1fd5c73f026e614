"""The whole checkout over pure entities: a small interpreter of the sagas, with a network that may lose anything.

Every commit is at once; what is chosen from outside is which step of which saga goes next, what becomes of its
message, who crashes, and what time it is.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from actors.domain import cart, checkout, inquiries, inventory, order_rules, payment
from actors.domain import order as orders
from actors.domain.decision import Context, Decision, Parked, Rejected
from actors.domain.steps import (
    Ask,
    AskAll,
    Charge,
    CloseCharge,
    Decide,
    Failed,
    Finished,
    Price,
    Refund,
    Together,
    Wait,
)
from tests.unit.domain.builders import NOW_MS
from tests.unit.domain.gateway_model import GatewayModel, prices_of

Fate = Literal["ok", "lost", "answer-lost", "late", "twice"]
Key = tuple[str, str]
ASK_LIFE_MS = 2_000
STEPS_MAX = 400
SKEW_MS = {"order": (20, 5), "sku": (0, 50), "cart": (60, 0), "payment": (0, 0)}
"""How far behind and ahead of the true time the clocks of each entity's host may believe it to be."""
DECIDE = {"order": order_rules.decide, "sku": inventory.decide, "cart": cart.decide, "payment": payment.decide}
APPLY = {"order": order_rules.apply, "sku": inventory.apply, "cart": cart.apply, "payment": payment.apply}


@dataclass
class Delivery:
    """A command and, in the end, its answer."""

    command: Any
    command_id: str
    not_after_ms: int
    fingerprint: str = ""
    reply: Any = None
    late: bool = False
    run: "Run | None" = None


@dataclass
class Run:
    """One run of an entity's saga: its progress, and the parts of its step that are still out."""

    progress: Any
    origin: Delivery | None
    step: Any = None
    out: dict[int, Any] = field(default_factory=dict)
    results: dict[int, Any] = field(default_factory=dict)
    steps: int = 0
    commits: int = 0


class World:
    """Entities, their sagas, the gateway, and what is still under way."""

    def __init__(self, stock: dict[str, int]) -> None:
        self.now_ms = NOW_MS
        self.states: dict[Key, Any] = {}
        self.events: list[tuple[Key, Any]] = []
        self.returns: set[tuple[str, str]] = set()
        self.runs: dict[Key, Run] = {}
        self.parked: dict[Key, list[Delivery]] = {}
        self.stragglers: list[tuple[Key, Delivery]] = []
        self.woken_ms: dict[Key, int] = {}
        self.epochs: dict[Key, int] = {}
        self.gateway = GatewayModel(self)
        self.prices = prices_of(stock)
        for sku, units in stock.items():
            self.send(("sku", sku), Delivery(inventory.AdjustStock(delta=units, reason="received"), f"in:{sku}", 2**60))

    def state(self, key: Key) -> Any:
        initial = {
            "order": lambda _: None,
            "sku": lambda id_: inventory.Sku(sku=id_),
            "cart": lambda id_: cart.Cart(id=id_),
            "payment": lambda id_: payment.Payment(order_id=id_),
        }[key[0]]
        return self.states[key] if key in self.states else initial(key[1])

    def context(self, key: Key, delivery: Delivery | None) -> Context:
        behind, ahead = SKEW_MS[key[0]]
        return Context(
            earliest_ms=self.now_ms - behind,
            latest_ms=self.now_ms + ahead,
            command_id=delivery.command_id if delivery else "own",
            not_after_ms=delivery.not_after_ms if delivery else self.now_ms + ASK_LIFE_MS,
            fingerprint=delivery.fingerprint if delivery else "",
            epoch=self.epochs.get(key, 0),
        )

    # --- commands ----------------------------------------------------------------------------------

    def send(self, key: Key, delivery: Delivery) -> Delivery:
        """Decide it, or park it; an answer is in the delivery."""
        if self.context(key, None).latest_ms > delivery.not_after_ms:
            delivery.reply = Failed(code="deadline-exceeded", may_have_run=False)
            return delivery
        command = delivery.command
        if isinstance(command, inventory.ReturnStock):
            done = (command.order_id, key[1]) in self.returns
            command = msgspec.structs.replace(command, already_returned=done)
        outcome = DECIDE[key[0]](self.state(key), command, self.context(key, delivery))
        for event in outcome.events:
            self.states[key] = APPLY[key[0]](self.state(key), event)
            self.events.append((key, event))
            if isinstance(event, inventory.StockReturned) or getattr(event, "returns", False):
                assert (event.order_id, key[1]) not in self.returns
                self.returns.add((event.order_id, key[1]))
        if isinstance(outcome, Parked):
            self._park(key, delivery, outcome)
        else:
            assert isinstance(outcome, Decision)
            delivery.reply = outcome.reply
        if outcome.events:
            self._committed(key)
        return delivery

    def _park(self, key: Key, delivery: Delivery, parked: Parked) -> None:
        if parked.begin is not None and delivery.run is None:
            run = self.runs.get(key)
            if run is None:
                delivery.run = self._begin(key, parked.begin, delivery)
            else:
                refusal = checkout.joins(run.progress, parked.begin) if key[0] == "order" else None
                if refusal is not None:
                    delivery.reply = refusal
                    return
                delivery.run = run
        self.parked.setdefault(key, []).append(delivery)

    def _begin(self, key: Key, what: Any, origin: Delivery | None) -> Run:
        begin = {"order": checkout.begin, "sku": inquiries.begin_sku, "cart": inquiries.begin_cart}[key[0]]
        progress = begin(key[1], self.state(key), what, self.context(key, origin))
        self.runs[key] = Run(progress, origin)
        return self.runs[key]

    def _committed(self, key: Key) -> None:
        self.resume(key, checkout.in_flight)
        for delivery in self.parked.pop(key, []):
            self.send(key, delivery)

    def resume(self, key: Key, when: Any) -> None:
        if key[0] == "order" and key not in self.runs and key in self.states and when(self.states[key]):
            self.runs[key] = Run(checkout.resume(key[1], self.states[key]), None)

    # --- sagas -------------------------------------------------------------------------------------

    def advance(self, key: Key, part: int = 0, fate: Fate = "ok") -> None:
        """The next thing that this entity's saga does: take a step, or finish one part of it."""
        run = self.runs[key]
        if run.step is None:
            run.steps += 1
            assert run.steps < STEPS_MAX, f"a loop: {run.progress}"
            steps = {"order": checkout.next_step, "sku": inquiries.next_step_sku, "cart": inquiries.next_step_cart}
            run.step = steps[key[0]](self.state(key), run.progress, self.context(key, run.origin))
            if isinstance(run.step, Finished):
                self._finished(key, run, run.step)
                return
            parts = run.step.asks if isinstance(run.step, AskAll) else getattr(run.step, "steps", (run.step,))
            run.out, run.results = dict(enumerate(parts)), {}
            return
        if run.out:
            index = sorted(run.out)[part % len(run.out)]
            events = len(self.events)
            run.results[index] = self._perform(key, run.out.pop(index), fate)
            run.commits += len(self.events) > events and not run.out
        if not run.out and self.runs.get(key) is run:
            self._record(key, run)

    def _record(self, key: Key, run: Run) -> None:
        many = isinstance(run.step, AskAll | Together)
        result = tuple(run.results[index] for index in sorted(run.results)) if many else run.results[0]
        record = {"order": checkout.record, "sku": inquiries.record_sku, "cart": inquiries.record_cart}[key[0]]
        run.progress, run.step = record(run.progress, run.step, result), None

    def _finished(self, key: Key, run: Run, finished: Finished) -> None:
        del self.runs[key]
        for delivery in self.parked.pop(key, []):
            joined, delivery.run = delivery.run is run, None if delivery.run is run else delivery.run
            alive = self.context(key, None).latest_ms <= delivery.not_after_ms
            if joined and finished.reply is not None and not (finished.retry and alive):
                delivery.reply = finished.reply
            elif alive:
                self.send(key, delivery)
        self.resume(key, checkout.in_flight)

    def _perform(self, key: Key, part: Any, fate: Fate) -> Any:
        match part:
            case Decide(command=command):
                delivery = Delivery(command, "own", self.now_ms + ASK_LIFE_MS)
                if fate == "lost":
                    return Failed(code="overloaded", may_have_run=False)
                return self.send(key, delivery).reply
            case Ask():
                return self._ask((part.entity_type, part.entity_id), part, fate)
            case Wait():
                return None
            case Price(skus=skus):
                if fate in ("lost", "answer-lost"):
                    return Failed(code="store-unavailable", may_have_run=False)
                return {sku: self.prices[sku] for sku in skus if sku in self.prices}
            case Charge() | CloseCharge() | Refund():
                if fate == "lost":
                    return Failed(code="timeout")
                result = self.gateway.run(part)
                return Failed(code="timeout") if fate == "answer-lost" else result
            case _:
                raise AssertionError(part)

    def _ask(self, key: Key, ask: Ask, fate: Fate) -> Any:
        delivery = Delivery(ask.command, ask.command_id, self.now_ms + ASK_LIFE_MS)
        if fate in ("late", "twice"):
            self.stragglers.append((key, Delivery(ask.command, ask.command_id, delivery.not_after_ms)))
        if fate in ("lost", "late"):
            return Failed(code="timeout")
        self.send(key, delivery)
        return Failed(code="timeout") if fate == "answer-lost" else delivery.reply

    # --- faults and time ---------------------------------------------------------------------------

    def crash(self, key: Key) -> None:
        """Its host dies: progress and parked commands are lost; a new owner recovers what is unsettled."""
        self.epochs[key] = self.epochs.get(key, 0) + 1
        self.runs.pop(key, None)
        self.parked.pop(key, None)
        self.resume(key, checkout.unsettled)

    def later(self, ms: int) -> None:
        self.now_ms += ms
        for key, parked in list(self.parked.items()):
            self.parked[key] = [delivery for delivery in parked if delivery.not_after_ms >= self.now_ms]
            for delivery in parked:
                delivery.late = delivery.not_after_ms < self.now_ms

    def wake(self) -> bool:
        """Ring the timers that are due; True if any was."""
        rang = False
        for key, state in list(self.states.items()):
            if key in self.runs:
                continue
            context = self.context(key, None)
            if key[0] == "order":
                due = order_rules.due(state)
                what: Any = checkout.Woken() if due is not None and due <= context.earliest_ms else None
            elif key[0] == "sku":
                what = inquiries.wake_sku(state, self.woken_ms.get(key, 0), context)
                self.woken_ms[key] = context.earliest_ms
            else:
                continue
            if what is not None:
                self._begin(key, what, None)
                rang = True
        return rang

    def settle_down(self) -> None:
        """Nothing is lost any more: everything runs until nothing is left to do."""
        for key, delivery in self.stragglers:
            self.send(key, delivery)
        self.stragglers = []
        until_ms = self.now_ms + 2 * orders.UNPAID_TTL_MS
        for _ in range(40):
            while self.runs:
                self.advance(next(iter(self.runs)))
            self.later(120_000)
            for key in self.of("cart"):
                self.send(key, Delivery(cart.GetCart(), "read", self.now_ms + ASK_LIFE_MS))
            if not self.wake() and not self.runs and self.now_ms > until_ms:
                return
        raise AssertionError(f"never quiet: {self.runs}")

    def of(self, type_: str) -> Iterable[Key]:
        """The entities of a type that have a state."""
        return [key for key in self.states if key[0] == type_]


def refused(reply: Any) -> bool:
    """Whether this is a definite refusal."""
    return isinstance(reply, Rejected)
