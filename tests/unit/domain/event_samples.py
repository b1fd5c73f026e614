"""One event of each type, with every field filled: what the golden files hold."""

from typing import Any

from actors.domain import cart, inventory, order, payment
from actors.domain.decision import CommandMark
from tests.unit.domain.builders import ADDRESS, NOW_MS, cart_line

MARK = CommandMark(command_id="cmd_1", until_ms=NOW_MS + 13_000, fingerprint="f", actor="usr_1")
METHOD = order.PaymentMethod(type="card", token="tok_ok")
ATTEMPT = order.Attempt(n=1, method=METHOD, mark=MARK)
LINE = order.OrderLine(sku="A", product_id="p", name="Thing Ä", quantity=2, unit_price=500, price_version=3)
REFUND = order.RefundRequest(n=1, amount=1_000, mark=MARK)
ATTEMPTED = payment.Attempted(key="ord_1:capture:1", user_id="usr_1", amount=1_000, currency="USD", method_type="card")
HOLD = inventory.Hold(
    id="ord_1:A",
    order_id="ord_1",
    quantity=2,
    attempt_ms=NOW_MS + 8_000,
    reserved_at_ms=NOW_MS,
    expires_at_ms=NOW_MS + 9,
)
CLOSED: dict[str, Any] = {"reservation_id": "ord_1:A", "order_id": "ord_1", "quantity": 2, "at_ms": NOW_MS}
CREATED: dict[str, Any] = {
    "id": "ord_1",
    "user_id": "usr_1",
    "email": "ada@example.org",
    "cart_id": "usr_1",
    "fingerprint": "f",
    "attempt_ms": NOW_MS + 8_000,
    "lines": (LINE,),
    "amounts": order.Amounts(subtotal=1_000, shipping=0, tax=0, currency="USD"),
    "shipping_address": ADDRESS,
    "payment": ATTEMPT,
    "expires_at_ms": NOW_MS + order.UNPAID_TTL_MS,
    "actor": "usr_1",
    "at_ms": NOW_MS,
}
UNIONS = {"cart": cart.Event, "sku": inventory.Event, "order": order.Event, "payment": payment.Event}
SAMPLES: dict[str, tuple[Any, ...]] = {
    "cart": (
        cart.ItemAdded(line=cart_line("A", 2), at_ms=NOW_MS, mark=MARK),
        cart.ItemUpdated(sku="A", quantity=3, at_ms=NOW_MS, mark=MARK),
        cart.ItemRemoved(sku="A", at_ms=NOW_MS, mark=MARK),
        cart.CartCleared(at_ms=NOW_MS, mark=MARK),
        cart.CartMerged(
            merge=cart.Merge(source="guest", source_version=4), lines=(cart_line("A", 2),), at_ms=NOW_MS, mark=MARK
        ),
        cart.CartClaimed(
            claim=cart.Claim(
                order_id="ord_1", attempt_ms=NOW_MS + 8_000, claimed_at_ms=NOW_MS, lines=(cart_line("A", 2),)
            )
        ),
        cart.CartOrdered(order_id="ord_1", at_ms=NOW_MS),
        cart.ClaimReleased(order_id="ord_1", repriced=(cart.Repriced(sku="A", was=500, now=600),), at_ms=NOW_MS),
        cart.CartExpired(at_ms=NOW_MS),
    ),
    "sku": (
        inventory.StockReserved(hold=HOLD, mark=MARK),
        inventory.StockReleased(**CLOSED, attempt_ms=NOW_MS + 8_000, returns=True),
        inventory.AttemptClosed(reservation_id="ord_1:A", order_id="ord_1", attempt_ms=NOW_MS + 8_000, at_ms=NOW_MS),
        inventory.ReservationExpired(**CLOSED),
        inventory.StockCommitted(**CLOSED, attempt_ms=NOW_MS + 8_000),
        inventory.StockReturned(order_id="ord_1", quantity=2, at_ms=NOW_MS),
        inventory.StockAdjusted(delta=-1, reason="counted", at_ms=NOW_MS, mark=MARK),
        inventory.StockDepleted(at_ms=NOW_MS),
        inventory.StockReplenished(available=2, at_ms=NOW_MS),
    ),
    "order": (
        order.OrderCreated(**CREATED),
        order.PaymentAttempted(attempt=ATTEMPT, at_ms=NOW_MS),
        order.PaymentDelayed(n=1, asked=2, ask_at_ms=NOW_MS + 2_000, at_ms=NOW_MS),
        order.OrderConfirmed(n=1, reference="ref", last4="4242", at_ms=NOW_MS),
        order.OrderPaymentFailed(n=1, reason="card_declined", at_ms=NOW_MS),
        order.OrderCancelRequested(reason="changed my mind", refund=REFUND, at_ms=NOW_MS, mark=MARK),
        order.CancelledPaymentSettled(
            n=1, status="captured", reference="ref", last4="4242", refund=REFUND, at_ms=NOW_MS
        ),
        order.OrderCancelled(reason="changed my mind", refunded=1_000, at_ms=NOW_MS),
        order.OrderExpired(at_ms=NOW_MS),
        order.OrderShipped(carrier="DHL", tracking_number="1", at_ms=NOW_MS, mark=MARK),
        order.OrderDelivered(at_ms=NOW_MS, mark=MARK),
        order.RefundRequested(refund=REFUND, at_ms=NOW_MS, mark=MARK),
        order.RefundCompleted(n=1, at_ms=NOW_MS),
        order.OrderRefunded(n=1, at_ms=NOW_MS),
    ),
    "payment": (
        payment.PaymentCaptured(attempt=ATTEMPTED, reference="ref", last4="4242", at_ms=NOW_MS),
        payment.PaymentFailed(attempt=ATTEMPTED, reason="card_declined", at_ms=NOW_MS),
        payment.PaymentUnknown(attempt=ATTEMPTED, at_ms=NOW_MS),
        payment.PaymentRefunded(key="ord_1:refund:1", amount=400, reference="ref", at_ms=NOW_MS),
    ),
}
