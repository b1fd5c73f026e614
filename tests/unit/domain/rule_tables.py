"""The tables of docs/domain.md, worked out from `decide` and `apply` themselves."""

from collections.abc import Callable
from typing import Any

from actors.domain import cart, inventory, order, order_rules, payment
from actors.domain.decision import Parked, Rejected
from tests.unit.domain.builders import METHOD, NOW_MS, at, cart_line, create, events_of, place
from tests.unit.domain.test_cart_claims import CLAIMED, EMPTY, TWO
from tests.unit.domain.test_order_claims import ATTEMPT, STATES
from tests.unit.domain.test_payment_claims import UNKNOWN, capture, failure, refund
from tests.unit.domain.test_payment_claims import run as paid
from tests.unit.domain.test_sku_claims import COMMIT, RELEASE, RETURN, TEN, reserve
from tests.unit.domain.test_sku_claims import run as stocked

Rows = list[list[str]]
OTHERS = stocked(TEN, reserve("other", 3), inventory.CommitStock(order_id="other", attempt_ms=ATTEMPT))
"""Seven on hand, three sold to somebody else."""


def _table(
    states: dict[str, Any],
    commands: dict[str, Any],
    decide: Callable[..., Any],
    describe: Callable[[Any, Any], str],
    apply: Callable[..., Any],
    now_ms: int = NOW_MS,
) -> Rows:
    rows = [["", *states]]
    for name, command in commands.items():
        row = [name]
        for state in states.values():
            outcome = decide(state, command, at(now_ms, command_id="doc", fingerprint="f", not_after_ms=ATTEMPT))
            after = state
            for event in events_of(outcome):
                after = apply(after, event)
            row.append(_cell(outcome, describe(state, after) if outcome.events else ""))
        rows.append(row)
    return rows


def _cell(outcome: Any, change: str) -> str:
    if isinstance(outcome, Parked):
        happened = [f"*{type(event).__name__}*" for event in events_of(outcome)]
        return ", ".join((*happened, "saga begins" if outcome.begin is not None else "waits"))
    if isinstance(outcome.reply, Rejected):
        return f"`{outcome.reply.code}`" + (f", {change}" if change else "")
    if events_of(outcome):
        return change
    return "as it is"


def _order_change(_before: Any, after: order.Order) -> str:
    return f"**{after.status}**"


def order_table() -> Rows:
    """Clients' commands to an order."""
    commands = {
        "PlaceOrder (repeat)": place(("A", 2)),
        "PayOrder": order.PayOrder(amount=1_000, currency="USD", method=METHOD),
        "CancelOrder": order.CancelOrder(),
        "ShipOrder": order.ShipOrder(),
        "DeliverOrder": order.DeliverOrder(),
        "RefundOrder (all)": order.RefundOrder(),
    }
    return _table(STATES, commands, order_rules.decide, _order_change, order_rules.apply)


def _settled_change(before: order.Order | None, after: order.Order) -> str:
    if before is None or before.status != after.status:
        return f"**{after.status}**"
    if sum(refund.done for refund in before.refunds) != sum(refund.done for refund in after.refunds):
        return "refund done"
    back = after.refund_reserved - before.refund_reserved
    word = after.payment.status if after.payment else ""
    return f"payment {word}" + (", refund follows" if back else "")


def saga_table() -> Rows:
    """The saga's and the timer's commands to an order, long after it was placed."""
    names = ("none", "pending (paying)", "pending (unknown)", "pending (unpaid)", "confirmed", "cancelling")
    states = {name: STATES[name] for name in names}
    paying = STATES["pending (paying)"]
    assert paying is not None
    requested = order_rules.decide(paying, order.CancelOrder(), at(command_id="cancel"))
    states["cancelling (paying)"] = order_rules.apply(paying, events_of(requested)[0])
    cancelling = STATES["cancelling"]
    assert cancelling is not None
    states["cancelling (refunded)"] = order_rules.apply(cancelling, order.RefundCompleted(n=1, at_ms=NOW_MS))
    states["cancelled"] = STATES["cancelled"]
    commands = {
        "CreateOrder (in time)": create(attempt_ms=NOW_MS + 2 * order.UNPAID_TTL_MS),
        "CreateOrder (too late)": create(),
        "SettlePayment captured": order.SettlePayment(n=1, status="captured"),
        "SettlePayment failed": order.SettlePayment(n=1, status="failed"),
        "SettlePayment unknown": order.SettlePayment(n=1, status="unknown"),
        "CompleteRefund": order.CompleteRefund(n=1),
        "CompleteCancel": order.CompleteCancel(),
        "ExpireOrder (its time is over)": order.ExpireOrder(),
    }
    return _table(
        states, commands, order_rules.decide, _settled_change, order_rules.apply, NOW_MS + order.UNPAID_TTL_MS
    )


def _stock_change(before: inventory.Sku, after: inventory.Sku) -> str:
    parts = []
    for name in ("on_hand", "reserved", "sold", "received", "returned"):
        change = getattr(after, name) - getattr(before, name)
        if change:
            parts.append(f"{name} {change:+d}")
    return ", ".join(parts) or ("held anew" if after.holds else "attempt closed")


def stock_table() -> Rows:
    """What three units of one order do to the stock."""
    states = {
        "never held": OTHERS,
        "held": stocked(OTHERS, reserve()),
        "released": stocked(OTHERS, reserve(), RELEASE),
        "committed": stocked(OTHERS, reserve(), COMMIT),
    }
    older = ATTEMPT - 1
    release = inventory.HoldVerdict(reservation_id="o:A", attempt_ms=ATTEMPT, verdict="release")
    commit = inventory.HoldVerdict(reservation_id="o:A", attempt_ms=ATTEMPT, verdict="commit")
    commands = {
        "ReserveStock (same attempt)": reserve(),
        "ReserveStock (newer attempt)": reserve(attempt_ms=ATTEMPT + 1),
        "ReserveStock (older attempt)": reserve(attempt_ms=older),
        "ReserveStock (too many)": reserve(quantity=11, attempt_ms=ATTEMPT + 1),
        "ReleaseStock": RELEASE,
        "ReleaseStock (older attempt)": inventory.ReleaseStock(order_id="o", attempt_ms=older),
        "CommitStock": COMMIT,
        "CommitStock (older attempt)": inventory.CommitStock(order_id="o", attempt_ms=older),
        "ReturnStock": RETURN,
        "ReturnStock (again)": inventory.ReturnStock(order_id="o", quantity=3, already_returned=True),
        "SettleHolds: commit": inventory.SettleHolds(verdicts=(commit,)),
        "SettleHolds: release": inventory.SettleHolds(verdicts=(release,)),
        "ReleaseExternal": inventory.ReleaseExternal(reservation_id="o:A"),
    }
    return _table(states, commands, inventory.decide, _stock_change, inventory.apply)


def _cart_change(before: cart.Cart, after: cart.Cart) -> str:
    parts = []
    if before.lines != after.lines:
        parts.append("lines" if after.lines else "**empty**")
    if (before.claim is None) != (after.claim is None):
        parts.append("**claimed**" if after.claim else "**open**")
    elif before.claim != after.claim:
        parts.append("claim adopted" if before.claim.attempt_ms != after.claim.attempt_ms else "trusted anew")  # type: ignore[union-attr]
    return ", ".join(parts) or ("trusted anew" if after.claim else "remembered")


def cart_table() -> Rows:
    """A shopper's and an order's commands to a cart; the claim is ten seconds old in the last column."""
    released = cart.apply(CLAIMED, cart.ClaimReleased(order_id="o", repriced=(), at_ms=NOW_MS))
    states = {"empty": EMPTY, "open": TWO, "claim just closed": released, "claimed": CLAIMED}
    commands = {
        "GetCart": cart.GetCart(),
        "AddLine": cart.AddLine(line=cart_line("C"), available=9),
        "SetQuantity": cart.SetQuantity(product_id="prod-A", quantity=1),
        "ClearCart": cart.ClearCart(),
        "TakeLines": cart.TakeLines(source="g", source_version=1, lines=(cart_line("C"),)),
        "ClaimCart (same order, same attempt)": cart.ClaimCart(order_id="o", attempt_ms=ATTEMPT),
        "ClaimCart (same order, newer attempt)": cart.ClaimCart(order_id="o", attempt_ms=ATTEMPT + 1),
        "ClaimCart (another order)": cart.ClaimCart(order_id="p", attempt_ms=ATTEMPT),
        "RemoveOrdered": cart.RemoveOrdered(order_id="o"),
        "ReleaseClaim": cart.ReleaseClaim(order_id="o", attempt_ms=ATTEMPT),
        "SettleClaim: keep": cart.SettleClaim(order_id="o", attempt_ms=ATTEMPT, verdict="keep"),
    }
    young = _table(states, commands, cart.decide, _cart_change, cart.apply)
    later = NOW_MS + cart.CLAIM_TRUSTED_MS
    old = _table({"claimed long ago": CLAIMED}, commands, cart.decide, _cart_change, cart.apply, later)
    return [[*row, other[1]] for row, other in zip(young, old, strict=True)]


def _money_change(before: payment.Payment, after: payment.Payment) -> str:
    money = [
        f"{name} +{getattr(after, name) - getattr(before, name)}"
        for name in ("captured", "refunded")
        if getattr(after, name) != getattr(before, name)
    ]
    return ", ".join((f"**{after.status}**", *money))


def payment_table() -> Rows:
    """Records of an attempt over 1000 minor units."""
    states = {
        "pending": paid(),
        "unknown": paid(UNKNOWN),
        "failed": paid(failure()),
        "captured": paid(capture()),
        "partially_refunded": paid(capture(), refund(1, 400)),
        "refunded": paid(capture(), refund(1, 400), refund(2, 600)),
    }
    commands = {
        "RecordCapture": capture(),
        "RecordCapture (another attempt)": capture(2),
        "RecordFailure": failure(),
        "RecordUnknown": UNKNOWN,
        "RecordRefund (400)": refund(3, 400),
        "RecordRefund (the same key)": refund(1, 400),
    }
    return _table(states, commands, payment.decide, _money_change, payment.apply)


TABLES = {
    "cart": cart_table,
    "stock": stock_table,
    "order": order_table,
    "saga": saga_table,
    "payment": payment_table,
}


TURNED = ("order", "saga")
"""Orders have more states than commands: theirs go down the page."""


def markdown(name: str) -> str:
    """The table as it stands in the docs."""
    rows = turned(TABLES[name]()) if name in TURNED else TABLES[name]()
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def turned(rows: Rows) -> Rows:
    """Rows for columns."""
    return [list(column) for column in zip(*rows, strict=True)]
