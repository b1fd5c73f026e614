"""The whole checkout, interleaved, lossy and crashing: at rest, stock, money, carts and answers agree."""

import os
import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.domain import cart as carts
from actors.domain import order as orders
from actors.domain.inventory import HOLD_TTL_MS
from tests.unit.domain.builders import METHOD, cart_line, place
from tests.unit.domain.checkout_world import Delivery, World

STOCK = {"A": 4, "B": 3}
CART_ORDERS = ("ord_c1", "ord_c2")
LINE_ORDERS = ("ord_l1", "ord_l2")
ORDERS = (*CART_ORDERS, *LINE_ORDERS)
SOLD = ("confirmed", "shipped", "delivered", "refunded")
FINAL = (*SOLD, "payment_failed", "cancelled", "expired")
FATES = ("ok", "ok", "ok", "ok", "lost", "answer-lost", "late", "twice")
fates = st.sampled_from(FATES)
REQUESTS = ((("A", 2),), (("A", 1), ("B", 2)), (("B", 4),), (("A", 1), ("A", 1)))
TOKENS = ("tok_ok", "tok_ok", "tok_declined")
order_ids = st.sampled_from(ORDERS)


class CheckoutMachine(RuleBasedStateMachine):
    """Shoppers and faults; the world does the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(STOCK)
        self.requests: dict[str, orders.PlaceOrder] = {}
        self.placements: dict[str, list[Delivery]] = {}
        self.added: dict[str, int] = {}
        self.commands = 0

    def send(self, order_id: str, command: Any, command_id: str = "") -> Delivery:
        self.commands += 1
        life = self.world.now_ms + 8_000
        return self.world.send(("order", order_id), Delivery(command, command_id or f"k{self.commands}", life, "f"))

    # --- shoppers ----------------------------------------------------------------------------------

    @initialize()
    def fill_cart(self) -> None:
        self.add_to_cart("A", 2)

    @rule(sku=st.sampled_from(("A", "B")), quantity=st.integers(1, 2))
    def add_to_cart(self, sku: str, quantity: int) -> None:
        self.commands += 1
        line = cart_line(sku, quantity, self.world.prices[sku].price_minor)
        command = carts.AddLine(line=line, available=100)
        life = self.world.now_ms + 8_000
        self.world.send(("cart", "guest"), Delivery(command, f"add{self.commands}", life))
        self.added[sku] = self.added.get(sku, 0) + quantity

    @rule(
        order_id=order_ids,
        pay=st.booleans(),
        token=st.sampled_from(TOKENS),
        lines=st.sampled_from(REQUESTS),
    )
    def place_order(self, order_id: str, pay: bool, token: str, lines: Any) -> None:
        """The first request decides what the order is; later ones of the same id repeat it, as a new attempt."""
        method = msgspec.structs.replace(METHOD, token=token) if pay else None
        from_cart = order_id in CART_ORDERS
        request = place(*(() if from_cart else lines), cart_id="guest" if from_cart else "", payment_method=method)
        request = self.requests.setdefault(order_id, request)
        self.placements.setdefault(order_id, []).append(self.send(order_id, request, "place"))

    @rule(order_id=order_ids)
    def resend_placement(self, order_id: str) -> None:
        """The region sends the same envelope again: the same attempt."""
        placements = self.placements.get(order_id)
        if placements:
            first = placements[-1]
            again = Delivery(first.command, first.command_id, first.not_after_ms, first.fingerprint)
            placements.append(self.world.send(("order", order_id), again))

    @rule(order_id=order_ids, name=st.sampled_from(("p1", "p2")), token=st.sampled_from(("tok_ok", "tok_declined")))
    def pay(self, order_id: str, name: str, token: str) -> None:
        order = self.world.state(("order", order_id))
        if order is not None:
            method = msgspec.structs.replace(METHOD, token=token)
            self.send(order_id, orders.PayOrder(amount=order.amounts.total, currency="USD", method=method), name)

    @rule(order_id=order_ids, n=st.integers(1, 2))
    def news(self, order_id: str, n: int) -> None:
        self.send(order_id, orders.PaymentNews(key=orders.capture_key(order_id, n)))

    @rule(order_id=order_ids, again=st.booleans())
    def cancel(self, order_id: str, again: bool) -> None:
        self.send(order_id, orders.CancelOrder(reason="r"), "cancel" if again else "")

    @rule(order_id=order_ids, amount=st.sampled_from((None, 1, 300)), again=st.booleans())
    def refund(self, order_id: str, amount: int | None, again: bool) -> None:
        self.send(order_id, orders.RefundOrder(amount=amount), "refund" if again else "")

    @rule(order_id=order_ids, ship=st.booleans())
    def move(self, order_id: str, ship: bool) -> None:
        self.send(order_id, orders.ShipOrder() if ship else orders.DeliverOrder())

    # --- the network, hosts and time ---------------------------------------------------------------

    @precondition(lambda self: self.world.runs)
    @rule(turns=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 3), fates), min_size=1, max_size=16))
    def advance(self, turns: list[tuple[int, int, Any]]) -> None:
        for which, part, fate in turns:
            runs = sorted(self.world.runs)
            if runs:
                self.world.advance(runs[which % len(runs)], part, fate)

    @precondition(lambda self: self.world.stragglers)
    @rule(which=st.integers(0, 7))
    def straggler(self, which: int) -> None:
        if self.world.stragglers:
            key, delivery = self.world.stragglers.pop(which % len(self.world.stragglers))
            self.world.send(key, delivery)

    @rule(order_id=order_ids)
    def crash(self, order_id: str) -> None:
        self.world.crash(("order", order_id))

    @rule(ms=st.sampled_from((1, 500, 1_500, 9_000, 11_000, HOLD_TTL_MS)), wake=st.booleans())
    def later(self, ms: int, wake: bool) -> None:
        self.world.later(ms)
        if wake:
            self.world.wake()

    @rule(sku=st.sampled_from(("A", "B")), price_minor=st.integers(1, 900))
    def change_price(self, sku: str, price_minor: int) -> None:
        old = self.world.prices[sku]
        new = msgspec.structs.replace(old, price_minor=price_minor, price_version=old.price_version + 1)
        self.world.prices[sku] = new

    @rule()
    def read_cart(self) -> None:
        life = self.world.now_ms + 2_000
        self.world.send(("cart", "guest"), Delivery(carts.GetCart(), "read", life))

    # --- what always holds -------------------------------------------------------------------------

    @invariant()
    def money_is_never_taken_twice(self) -> None:
        for order_id in ORDERS:
            assert self.world.gateway.given_back(order_id) <= self.world.gateway.captured(order_id)

    @invariant()
    def a_paid_order_has_its_stock(self) -> None:  # I6
        for _, order_id in self.world.of("order"):
            order = self.world.state(("order", order_id))
            if order.status not in (*SOLD, "pending") or order.cancel is not None:
                continue
            if order.paying:
                continue  # declined, perhaps, and its stock on the way back
            for line in order.lines:
                sku = self.world.state(("sku", line.sku))
                held = sku.holds.get(f"{order_id}:{line.sku}")
                assert (held is not None and held.quantity == line.quantity) or self.sold(order_id, line.sku)

    def sold(self, order_id: str, sku: str) -> int:
        events = [event for key, event in self.world.events if key == ("sku", sku)]
        return sum(
            event.quantity
            for event in events
            if type(event).__name__ == "StockCommitted" and event.order_id == order_id
        )

    # --- at rest -----------------------------------------------------------------------------------

    def teardown(self) -> None:
        world = self.world
        world.settle_down()
        ordered: dict[str, int] = {}
        stood: dict[str, int] = {}
        for _, order_id in world.of("order"):
            order = world.state(("order", order_id))
            self.check_money(order)
            assert order.status in FINAL, "an order that waits for nothing"
            for line in order.lines:
                if order.status in SOLD:
                    ordered[line.sku] = ordered.get(line.sku, 0) + line.quantity
                if order.placed is not None and order_id in CART_ORDERS:
                    stood[line.sku] = stood.get(line.sku, 0) + line.quantity
        for sku, units in STOCK.items():
            state = world.state(("sku", sku))
            assert not state.holds, "a live reservation at rest"  # I7, I18
            assert state.sold - state.returned == ordered.get(sku, 0)
            assert state.on_hand == units - ordered.get(sku, 0)  # I1
        cart = world.state(("cart", "guest"))
        assert cart.claim is None, "a claim at rest"
        left = {sku: count - stood.get(sku, 0) for sku, count in self.added.items()}
        assert {line.sku: line.quantity for line in cart.lines} == {s: n for s, n in left.items() if n}  # I17
        for order_id, deliveries in self.placements.items():
            self.check_answers(order_id, deliveries)

    def check_money(self, order: orders.Order) -> None:
        captured, given_back = self.world.gateway.captured(order.id), self.world.gateway.given_back(order.id)
        record = self.world.state(("payment", order.id))
        assert order.amounts.total == sum(line.unit_price * line.quantity for line in order.lines)  # I12
        assert captured == (order.amounts.total if order.paid else 0)  # I4
        assert (record.captured, record.refunded) == (captured, given_back)  # I5
        assert given_back == order.refund_reserved
        assert all(refund.done for refund in order.refunds)
        if order.status in ("cancelled", "refunded"):
            assert given_back == captured
        if order.status in SOLD:
            assert captured
        if order.payment is not None:
            whole = {"captured": ("captured", "partially_refunded", "refunded")}
            assert record.status in whole.get(order.payment.status, ("failed",))

    def check_answers(self, order_id: str, deliveries: list[Delivery]) -> None:  # I15, I16
        bodies = set()
        for delivery in deliveries:
            if isinstance(delivery.reply, orders.OrderAnswer):
                assert self.world.state(("order", order_id)) is not None
                if delivery.reply.order.status in ("pending", "confirmed"):
                    bodies.add(msgspec.json.encode(delivery.reply))
        assert len(bodies) <= 1


def play(seed: int) -> CheckoutMachine:
    """One long day from one seed: as the machine, but with the odds of a busy shop rather than of a search."""
    rng = random.Random(seed)
    shop = CheckoutMachine()
    shop.fill_cart()
    trouble = rng.choice((0.0, 0.1, 0.4))

    def turns() -> list[tuple[int, int, Any]]:
        bad = rng.random() < trouble
        return [
            (rng.randrange(8), rng.randrange(4), rng.choice(FATES) if bad else "ok")
            for _ in range(rng.randrange(1, 14))
        ]

    def anyone() -> str:
        return rng.choice(ORDERS)

    moves: list[tuple[int, Callable[[], Any]]] = [
        (30, lambda: shop.advance(turns())),
        (8, lambda: shop.place_order(anyone(), rng.random() < 0.8, rng.choice(TOKENS), rng.choice(REQUESTS))),
        (2, lambda: shop.resend_placement(anyone())),
        (2, lambda: shop.pay(anyone(), rng.choice(("p1", "p2")), rng.choice(TOKENS))),
        (2, lambda: shop.news(anyone(), rng.choice((1, 2)))),
        (3, lambda: shop.cancel(anyone(), rng.random() < 0.5)),
        (3, lambda: shop.refund(anyone(), rng.choice((None, 1, 300)), rng.random() < 0.5)),
        (3, lambda: shop.move(anyone(), rng.random() < 0.6)),
        (3, lambda: shop.add_to_cart(rng.choice(("A", "B")), rng.randrange(1, 3))),
        (6, lambda: shop.straggler(rng.randrange(8))),
        (3, lambda: shop.crash(anyone())),
        (1, lambda: shop.change_price(rng.choice(("A", "B")), rng.randrange(1, 900))),
        (2, shop.read_cart),
        (3, lambda: shop.later(rng.choice((1, 500, 1_500)), True)),
        (1, lambda: shop.later(rng.choice((9_000, 11_000, HOLD_TTL_MS)), True)),
    ]
    for _ in range(rng.randrange(30, 150)):
        rng.choices([move for _, move in moves], [odds for odds, _ in moves])[0]()
        shop.money_is_never_taken_twice()
        shop.a_paid_order_has_its_stock()
    shop.teardown()
    return shop


@pytest.mark.parametrize("block", range(4))
def test_busy_days_end_in_balance(block: int) -> None:
    size = int(os.environ.get("STAMPEDE_DOMAIN_SEEDS", "300")) // 4
    for seed in range(block * size, (block + 1) * size):
        try:
            play(seed)
        except AssertionError as breach:
            raise AssertionError(f"play({seed}) found: {breach}") from breach


CheckoutMachine.TestCase.settings = settings(
    settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci")), stateful_step_count=60
)
TestCheckout = CheckoutMachine.TestCase
