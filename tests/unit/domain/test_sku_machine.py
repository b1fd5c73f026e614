"""Stock under any order of commands, repeats and stragglers: never oversold, conserved, repeats change nothing."""

from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.codec import JsonEvents
from actors.domain import inventory as stock
from actors.domain.decision import Rejected
from actors.domain.ids import reservation_id
from tests.unit.domain.builders import NOW_MS, at, reply_of

ORDERS = ("ord_1", "ord_2", "ord_3")
CODEC = JsonEvents(stock.Event)
orders = st.sampled_from(ORDERS)
quantities = st.integers(1, 6)


class StockMachine(RuleBasedStateMachine):
    """Orders go through attempts, as `checkout` takes them; every command may come again until its time is over."""

    def __init__(self) -> None:
        super().__init__()
        self.sku = stock.Sku(sku="A")
        self.journal: list[Any] = []
        self.now_ms = NOW_MS
        self.commands = 0
        self.attempt: dict[str, int] = {}
        self.final: dict[str, str] = {}
        self.returns: set[str] = set()
        self.sent: list[tuple[Any, str, int]] = []
        """(command, its id, the time after which it is refused): what a network may deliver again."""
        self.sold_units = 0

    # --- how a command reaches the SKU -------------------------------------------------------------

    def send(self, command: Any, command_id: str | None = None, not_after_ms: int | None = None) -> Any:
        self.commands += 1
        id_ = command_id or f"c{self.commands}"
        life = not_after_ms or self.now_ms + 8_000
        self.sent.append((command, id_, life))
        return self.deliver(command, id_, life)

    def deliver(self, command: Any, command_id: str, not_after_ms: int) -> Any:
        if isinstance(command, stock.ReturnStock):  # as `registry` does
            command = msgspec.structs.replace(command, already_returned=command.order_id in self.returns)
        decision = stock.decide(self.sku, command, at(self.now_ms, command_id=command_id, not_after_ms=not_after_ms))
        if isinstance(decision.reply, Rejected):  # nothing, or what an older attempt held is given up
            assert all(type(e) in (stock.StockReleased, stock.StockReplenished) for e in decision.events)
        for event in decision.events:
            before = self.sku
            self.sku = stock.apply(self.sku, event)
            self.journal.append(event)
            self.balance()  # at every prefix, not only between commands
            assert self.sku.version == before.version + 1
            if isinstance(event, stock.StockCommitted):
                self.sold_units += event.quantity
            if isinstance(event, stock.StockReturned) or getattr(event, "returns", False):
                assert event.order_id not in self.returns, "returned twice"
                self.returns.add(event.order_id)
        if isinstance(decision.reply, stock.StockLevel) and not decision.replayed:
            assert decision.reply == stock.StockLevel(
                sku="A",
                on_hand=self.sku.on_hand,
                reserved=self.sku.reserved,
                available=self.sku.available,
                version=self.sku.version,
            )
        return decision

    def balance(self) -> None:
        sku = self.sku
        assert sku.received + sku.returned == sku.on_hand + sku.sold  # I1
        assert sku.reserved == sum(hold.quantity for hold in sku.holds.values())  # I2
        assert 0 <= sku.reserved <= sku.on_hand  # I3
        assert min(sku.received, sku.returned, sku.sold) >= 0
        assert sku.returned <= sku.sold

    # --- rules -------------------------------------------------------------------------------------

    @initialize(delta=st.integers(0, 12))
    def receive(self, delta: int) -> None:
        self.send(stock.AdjustStock(delta=delta, reason="received"))

    @rule(delta=st.integers(-8, 12))
    def adjust(self, delta: int) -> None:
        before = self.sku
        reply = reply_of(self.send(stock.AdjustStock(delta=delta, reason="counted")))
        refused = isinstance(reply, Rejected)
        assert refused == (before.on_hand + delta < before.reserved)

    @rule(order=orders, quantity=quantities)
    def reserve(self, order: str, quantity: int) -> None:
        if order in self.final:
            return
        attempt_ms = self.now_ms + 8_000
        before, held = self.sku, self.sku.holds.get(reservation_id(order, "A"))
        self.attempt[order] = attempt_ms
        reply = reply_of(
            self.send(stock.ReserveStock(order_id=order, quantity=quantity, attempt_ms=attempt_ms), f"{order}:r")
        )
        if isinstance(reply, Rejected):
            assert reply.code in ("insufficient-stock", "attempt-closed", "attempt-superseded")
            if reply.code == "insufficient-stock":
                assert quantity > before.available + (held.quantity if held else 0)
        else:
            assert self.sku.holds[reservation_id(order, "A")].quantity == quantity or held is not None

    @rule(order=orders)
    def refuse_attempt(self, order: str) -> None:
        if order in self.attempt and order not in self.final:
            self.send(stock.ReleaseStock(order_id=order, attempt_ms=self.attempt[order]))
            assert reservation_id(order, "A") not in self.sku.holds

    @rule(order=orders)
    def confirm(self, order: str) -> None:
        hold = self.sku.holds.get(reservation_id(order, "A"))
        if order in self.final or hold is None or hold.attempt_ms != self.attempt[order]:
            return
        self.final[order] = "confirmed"
        sold = self.sku.sold
        self.send(stock.CommitStock(order_id=order, attempt_ms=self.attempt[order]))
        assert self.sku.sold == sold + hold.quantity

    @rule(order=orders)
    def confirm_unheard(self, order: str) -> None:
        """The order is confirmed, and its commit is lost on the way: the hold stays until somebody asks."""
        hold = self.sku.holds.get(reservation_id(order, "A"))
        if order not in self.final and hold is not None and hold.attempt_ms == self.attempt[order]:
            self.final[order] = "confirmed"

    @rule(order=orders)
    def cancel_confirmed(self, order: str) -> None:
        if self.final.get(order) not in ("confirmed", "cancelled"):
            return
        self.final[order] = "cancelled"
        id_ = reservation_id(order, "A")
        sold = sum(e.quantity for e in self.journal if isinstance(e, stock.StockCommitted) and e.order_id == order)
        hold = self.sku.holds.get(id_)
        available = self.sku.available
        again = order in self.returns
        self.send(stock.ReturnStock(order_id=order, quantity=hold.quantity if hold else sold))
        assert id_ not in self.sku.holds
        back = 0 if again else (hold.quantity if hold else sold)
        assert self.sku.available == available + back

    @rule(quantity=quantities, ttl_ms=st.integers(1_000, 30_000))
    def hold_externally(self, quantity: int, ttl_ms: int) -> None:
        before = self.sku.available
        reply = reply_of(self.send(stock.HoldExternally(order_id="x", quantity=quantity, ttl_ms=ttl_ms)))
        assert isinstance(reply, Rejected) == (quantity > before)

    @rule(which=st.integers(0, 5))
    def release_externally(self, which: int) -> None:
        ids = sorted(self.sku.holds)
        if not ids:
            return
        id_ = ids[which % len(ids)]
        reply = reply_of(self.send(stock.ReleaseExternal(reservation_id=id_)))
        assert isinstance(reply, Rejected) == (not id_.startswith("ext:"))

    @precondition(lambda self: self.sku.holds)
    @rule()
    def ask_the_orders(self) -> None:
        """What `inquiries` does at a wake: every hold that is due gets its order's word."""
        verdicts = []
        for hold in self.sku.holds.values():
            if hold.external:
                continue
            over = self.now_ms > hold.attempt_ms
            word = {"confirmed": "commit", "cancelled": "release"}.get(self.final.get(hold.order_id, ""))
            verdict = word or ("release" if over else "keep")
            verdicts.append(stock.HoldVerdict(reservation_id=hold.id, attempt_ms=hold.attempt_ms, verdict=verdict))
        expired = tuple(hold.id for hold in self.sku.holds.values() if hold.external)
        self.send(stock.SettleHolds(verdicts=(*verdicts, *verdicts), expired=expired))
        for hold in self.sku.holds.values():
            assert not hold.external or hold.expires_at_ms > self.now_ms
        for word in verdicts:
            assert (word.reservation_id in self.sku.holds) == (word.verdict == "keep")

    @rule(back=st.integers(0, 11))
    def straggler(self, back: int) -> None:
        """Anything that was sent may come again while its time is not over, and changes nothing then."""
        alive = [sent for sent in self.sent if sent[2] >= self.now_ms]
        if not alive:
            return
        command, id_, not_after_ms = alive[-1 - back % len(alive)]
        known = any(r.command_id == id_ for r in self.sku.recent)
        before = self.sku
        first = self.journal[:]
        decision = self.deliver(command, id_, not_after_ms)
        match command:
            case stock.ReserveStock():
                # A refused attempt may find stock now; a closed or an older one never acts.
                if decision.events:
                    assert all(
                        getattr(e, "hold", None) is None or e.hold.attempt_ms != command.attempt_ms
                        for e in first
                        if isinstance(e, stock.StockReserved) and e.hold.order_id == command.order_id
                    ), "one attempt reserved twice"
            case stock.AdjustStock() | stock.HoldExternally() if known:
                assert decision.replayed
                assert self.sku is before
            case stock.ReturnStock():
                assert self.sku is before

    @rule(ms=st.sampled_from((1, 900, 4_000, 13_000, 70_000)))
    def later(self, ms: int) -> None:
        self.now_ms += ms

    # --- what always holds -------------------------------------------------------------------------

    @invariant()
    def balanced(self) -> None:
        self.balance()

    @invariant()
    def sold_is_what_was_committed(self) -> None:
        assert self.sku.sold == self.sold_units
        commits = [event.order_id for event in self.journal if isinstance(event, stock.StockCommitted)]
        assert len(commits) == len(set(commits)), "an order's units were sold twice"

    @invariant()
    def thresholds_tell_the_truth(self) -> None:
        crossed = [e for e in self.journal if isinstance(e, stock.StockDepleted | stock.StockReplenished)]
        if crossed:
            assert isinstance(crossed[-1], stock.StockReplenished) == (self.sku.available > 0)
        for one, next_ in pairwise(crossed):
            assert type(one) is not type(next_)

    @invariant()
    def due_is_never_too_late(self) -> None:
        due = stock.next_due(self.sku, self.now_ms)
        assert (due is None) == (not self.sku.holds)
        assert due is None or due > self.now_ms
        if due is not None:
            assert not list(stock.holds_due(self.sku, self.now_ms, due - 1))
            assert list(stock.holds_due(self.sku, self.now_ms, due))

    @rule(order=orders, cancel=st.booleans())
    def buy(self, order: str, cancel: bool) -> None:
        """A whole purchase at once, so that long stories come about."""
        self.reserve(order, 1)
        self.confirm(order)
        self.straggler(1)
        if cancel:
            self.cancel_confirmed(order)
            self.straggler(0)

    def teardown(self) -> None:
        folded = stock.Sku(sku="A")
        due: int | None = None
        for event in self.journal:
            again = CODEC.decode(*CODEC.encode(event))
            assert again == event
            folded = stock.apply(folded, again)
            due = stock.due_after(folded, event, due)
            first = stock.next_due(folded, 0)
            assert first is None or (due is not None and due <= first), "a hint may be early, never late"
        assert folded == self.sku
        assert stock.decode(stock.encode(self.sku)) == self.sku


TestStock = StockMachine.TestCase
