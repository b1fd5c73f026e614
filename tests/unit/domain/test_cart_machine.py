"""A cart against a plain model of what was acknowledged: lines, one claim, and answers that are remembered."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.codec import JsonEvents
from actors.domain import cart as carts
from actors.domain.decision import Decision, Parked, Rejected
from tests.unit.domain.builders import NOW_MS, at, cart_line

CODEC = JsonEvents(carts.Event)
SKUS = ("A", "B", "C")
skus = st.sampled_from(SKUS)
orders = st.sampled_from(("ord_1", "ord_2"))
PRODUCT = {"A": "prod-1", "B": "prod-1", "C": "prod-2"}
"""A and B are variants of one product."""


class CartMachine(RuleBasedStateMachine):
    """`lines` and `claim` are the model; commands carry ids, and may come again."""

    def __init__(self) -> None:
        super().__init__()
        self.cart = carts.Cart(id="guest")
        self.journal: list[Any] = []
        self.now_ms = NOW_MS
        self.commands = 0
        self.lines: dict[str, int] = {}
        self.claim: tuple[str, int, dict[str, int]] | None = None
        self.merged: set[tuple[str, int]] = set()
        self.sent: list[tuple[Any, str, int, Any]] = []

    def send(self, command: Any, command_id: str = "") -> Any:
        self.commands += 1
        id_ = command_id or f"c{self.commands}"
        outcome = self.deliver(command, id_, self.now_ms + 8_000)
        reply = outcome.reply if isinstance(outcome, Decision) else outcome
        self.sent.append((command, id_, self.now_ms + 8_000, reply))
        return reply

    def deliver(self, command: Any, command_id: str, not_after_ms: int) -> Decision | Parked:
        outcome = carts.decide(self.cart, command, at(self.now_ms, command_id=command_id, not_after_ms=not_after_ms))
        for event in outcome.events:
            self.cart = carts.apply(self.cart, event)
            self.journal.append(event)
        if isinstance(outcome, Decision) and isinstance(outcome.reply, carts.CartAnswer) and outcome.events:
            assert outcome.reply.cart == carts.public(self.cart), "the answer is the cart after the command"
        return outcome

    # --- what shoppers do --------------------------------------------------------------------------

    @rule(sku=skus, quantity=st.integers(1, 5), available=st.integers(0, 12))
    def add(self, sku: str, quantity: int, available: int) -> None:
        wanted = self.lines.get(sku, 0) + quantity
        line = cart_line(sku, quantity, product_id=PRODUCT[sku])
        reply = self.send(carts.AddLine(line=line, available=available))
        if wanted > available:
            assert reply.code == "insufficient-stock"
        else:
            self.lines[sku] = wanted

    @rule(sku=skus, quantity=st.integers(0, 5), named=st.booleans(), stale=st.booleans())
    def set_quantity(self, sku: str, quantity: int, named: bool, stale: bool) -> None:
        expected = self.cart.version - 1 if stale else self.cart.version
        command = carts.SetQuantity(
            product_id=PRODUCT[sku],
            quantity=quantity,
            sku=sku if named else None,
            available=dict.fromkeys(SKUS, 5),
            expected_version=expected,
        )
        reply = self.send(command)
        found = [s for s in self.lines if PRODUCT[s] == PRODUCT[sku] and (not named or s == sku)]
        if stale:
            assert reply.code == "version-mismatch"
        elif not found:
            assert reply.code == "item-not-found"
        elif len(found) > 1:
            assert reply.code == "ambiguous-sku"
        elif quantity:
            self.lines[found[0]] = quantity
        else:
            del self.lines[found[0]]

    @rule()
    def clear(self) -> None:
        self.send(carts.ClearCart())
        self.lines = {}

    @rule(version=st.integers(1, 2), quantity=st.integers(1, 3))
    def merge(self, version: int, quantity: int) -> None:
        self.send(
            carts.TakeLines(
                source="other", source_version=version, lines=(cart_line("A", quantity, product_id=PRODUCT["A"]),)
            )
        )
        if ("other", version) not in self.merged:
            self.merged.add(("other", version))
            self.lines["A"] = self.lines.get("A", 0) + quantity

    # --- what orders do ----------------------------------------------------------------------------

    @rule(order=orders)
    def claim_cart(self, order: str) -> None:
        attempt_ms = self.now_ms + 8_000
        reply = self.send(carts.ClaimCart(order_id=order, attempt_ms=attempt_ms), f"{order}:{attempt_ms}")
        if self.claim is not None and self.claim[0] != order:
            assert isinstance(reply, Parked) or reply.code == "cart-checked-out"
        elif self.claim is None and not self.lines:
            assert isinstance(reply, Rejected)
            assert reply.code in ("empty-cart", "attempt-closed")
        elif isinstance(reply, Rejected):
            assert reply.code == "attempt-closed"  # claimed and closed within this millisecond
            assert any(closed.order_id == order for closed in self.cart.closed)
        else:
            lines = self.claim[2] if self.claim else dict(self.lines)
            assert {line.sku: line.quantity for line in reply.lines} == lines
            self.claim = (order, attempt_ms, lines)

    @rule(order=orders)
    def remove_ordered(self, order: str) -> None:
        self.send(carts.RemoveOrdered(order_id=order))
        self.close(order, ordered=True)

    @rule(order=orders, older=st.booleans())
    def release_claim(self, order: str, older: bool) -> None:
        if self.claim is None:
            return
        attempt_ms = self.claim[1] - 1 if older else self.claim[1]
        self.send(carts.ReleaseClaim(order_id=order, attempt_ms=attempt_ms))
        if not older:
            self.close(order, ordered=False)

    @rule(verdict=st.sampled_from(("keep", "remove", "release")), right=st.booleans())
    def settle_claim(self, verdict: Any, right: bool) -> None:
        if self.claim is None:
            return
        order, attempt_ms, _ = self.claim
        self.send(
            carts.SettleClaim(order_id=order, attempt_ms=attempt_ms if right else attempt_ms + 1, verdict=verdict)
        )
        if right and verdict != "keep":
            self.close(order, ordered=verdict == "remove")

    def close(self, order: str, *, ordered: bool) -> None:
        if self.claim is None or self.claim[0] != order:
            return
        if ordered:
            left = {sku: n - self.claim[2].get(sku, 0) for sku, n in self.lines.items()}
            self.lines = {sku: n for sku, n in left.items() if n > 0}
        self.claim = None

    # --- time and the network ----------------------------------------------------------------------

    @rule(data=st.data())
    def straggler(self, data: st.DataObject) -> None:
        """A command that was carried out may come again while its time is not over: nothing changes."""
        alive = [sent for sent in self.sent if sent[2] >= self.now_ms and not isinstance(sent[3], Rejected | Parked)]
        if not alive:
            return
        command, id_, not_after_ms, first = data.draw(st.sampled_from(alive))
        held = self.cart.claim
        if isinstance(command, carts.SettleClaim) and held is not None and held.attempt_ms == command.attempt_ms:
            return  # asked again: its order's word is still the word
        if isinstance(command, carts.RemoveOrdered | carts.ReleaseClaim) and held is not None:
            return  # its order would not claim once more before it has an end
        before = self.cart
        outcome = self.deliver(command, id_, not_after_ms)
        if isinstance(command, carts.ClaimCart) and isinstance(outcome, Decision) and outcome.events:
            raise AssertionError("a straggler claimed the cart")
        assert self.cart is before
        changes = carts.AddLine | carts.SetQuantity | carts.ClearCart | carts.TakeLines
        if isinstance(command, changes) and isinstance(outcome, Decision) and outcome.replayed:
            assert outcome.reply == first, "a repeat has the first answer"

    @rule(ms=st.sampled_from((1, 3_000, 9_000, 11_000, carts.IDLE_TTL_MS)))
    def later(self, ms: int) -> None:
        self.now_ms += ms

    @rule()
    def expire(self) -> None:
        idle = bool(self.lines) and self.cart.expires_at_ms <= self.now_ms
        reply = self.send(carts.ExpireCart())
        if idle and self.claim is None:
            self.lines = {}
        elif isinstance(reply, Parked):
            assert idle
            assert self.claim is not None, "its order is asked first"

    @rule()
    def read(self) -> None:
        reply = self.send(carts.GetCart())
        stale = self.cart.claim is not None and self.now_ms >= self.cart.claim.claimed_at_ms + carts.CLAIM_TRUSTED_MS
        assert isinstance(reply, Parked) == stale

    # --- what always holds -------------------------------------------------------------------------

    @invariant()
    def same_as_the_model(self) -> None:
        assert {line.sku: line.quantity for line in self.cart.lines} == self.lines  # I17
        assert all(line.quantity > 0 for line in self.cart.lines)
        claim = self.cart.claim
        assert (claim.order_id if claim else None) == (self.claim[0] if self.claim else None)

    @invariant()
    def version_counts_events(self) -> None:
        assert self.cart.version == len(self.journal)

    def teardown(self) -> None:
        folded = carts.Cart(id="guest")
        for event in self.journal:
            folded = carts.apply(folded, CODEC.decode(*CODEC.encode(event)))
        assert folded == self.cart


TestCart = CartMachine.TestCase
