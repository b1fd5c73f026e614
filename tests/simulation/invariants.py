"""The invariants at the end of a run, when everything has been healed and was quiet for a long time."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from actors.domain import cart, inventory, order, payment
from actors.domain.ids import payment_id
from actors.registry import ENTITY_TYPES
from persistence.records import JOURNAL_SERVICES, StockRow
from tests.simulation.cart_model import Ordered, breach, lines_of
from tests.simulation.history import NOT_REMEMBERED, Deed, History
from tests.simulation.stored import (
    cart_of,
    decoded,
    events_of,
    fold,
    order_of,
    orders_of,
    payments_of,
    stock_of,
)
from tests.simulation.world import World

FINAL = ("payment_failed", "cancelled", "expired", "refunded", "confirmed", "shipped", "delivered")
SOLD = ("confirmed", "shipped", "delivered", "refunded")
LEGAL = {
    "pending": {"pending", "confirmed", "payment_failed", "cancelled", "expired"},
    "confirmed": {"confirmed", "shipped", "cancelled"},
    "shipped": {"shipped", "delivered"},
    "delivered": {"delivered", "refunded"},
}


def broken(world: World, history: History) -> list[str]:
    """Every breach that is found."""
    checks = (_journals, _states, _stock, _money, _orders, _answers, _refusals, _same_key, _once, _stock_moves, _carts)
    found: list[str] = []
    for check in checks:
        try:
            found.extend(check(world, history))
        except (AssertionError, KeyError, ValueError) as error:  # a fold that the domain itself refuses
            found.append(f"{check.__name__}: {error!r}")
    return found


def figures(world: World, history: History) -> dict[str, int]:
    """What a run did, for those who doubt that it did anything."""
    statuses = Counter(state.status for state in orders_of(world).values())
    fates = Counter(sent.fate for deed in history.deeds for sent in deed.sent)
    return {**{f"orders {status}": n for status, n in sorted(statuses.items())}, **dict(sorted(fates.items()))}


def _journals(world: World, _history: History) -> Iterator[str]:
    """I8: no gap or duplicate in (shard, seq) and (entity, version)."""
    for service in JOURNAL_SERVICES:
        for shard, events in world.tables.journals[service].journal.items():
            if [event.seq for event in events] != list(range(1, len(events) + 1)):
                yield f"I8: {service} shard {shard} has gaps in seq"
        for key, events in events_of(world, service).items():
            versions = [event.version for event in events]
            if versions != list(range(1, len(events) + 1)):
                yield f"I8: {key} has versions {versions}"


def _states(world: World, _history: History) -> Iterator[str]:
    """I9: fold(journal) = state row = snapshot + tail. I13: only legal transitions."""
    for service, type_name in (("orders", "order"), ("payments", "payment")):
        tables = world.tables.journals[service]
        states = orders_of(world) if service == "orders" else payments_of(world)
        for key, events in events_of(world, service).items():
            folded = fold(key, events)
            if states.get(key[1]) != folded:
                yield f"I9: the state row of {key} is not its journal"
            row = tables.views.get(key[1] if service == "orders" else payment_id(key[1]))
            if row is not None and tuple(row.seqs) != tuple(event.seq for event in events):
                yield f"I9: the row of {key} has other seqs than its journal"
            if type_name == "order":
                yield from _legal(key, events)
        journaled = {key[1] for key in events_of(world, service)}
        for id_ in states.keys() - journaled:
            yield f"I9: {type_name} {id_} has a state row and no journal"
    tables = world.tables.journals["inventory"]
    for key, events in events_of(world, "inventory").items():
        folded = fold(key, events)
        row = tables.views.get(key[1])
        seen = (folded.version, folded.on_hand, folded.reserved, folded.sold)
        if not isinstance(row, StockRow) or (row.version, row.on_hand, row.reserved, row.sold) != seen:
            yield f"I9: stock_view of {key[1]} is {row}, its journal says {seen}"
        for snapshot in tables.snapshots.values():
            if snapshot.entity_id != key[1]:
                continue
            upto = fold(key, [event for event in events if event.version <= snapshot.version])
            if _normal(inventory.decode(snapshot.state)) != _normal(upto):
                yield f"I9: the snapshot of {key[1]} at version {snapshot.version} is not its journal"


def _normal(state: inventory.Sku) -> dict[str, Any]:
    parts: dict[str, Any] = msgspec.json.decode(inventory.encode(state))
    parts["holds"] = sorted(parts["holds"], key=lambda hold: hold["id"])
    return parts


def _legal(key: tuple[str, str], events: list[Any]) -> Iterator[str]:
    before, state = "", None
    for event in events:
        state = ENTITY_TYPES["order"].apply(state, decoded(event))
        if before and state.status not in LEGAL.get(before, {before}):
            yield f"I13: {key[1]} went from {before} to {state.status}"
        before = state.status


def _stock(world: World, _history: History) -> Iterator[str]:
    """I1 to I3 at every prefix, I6, I7, and no undersell (I18)."""
    orders = orders_of(world)
    for key, events in events_of(world, "inventory").items():
        state = ENTITY_TYPES["sku"].initial(key[1])
        facts = []
        for event in events:
            fact = decoded(event)
            facts.append(fact)
            state = ENTITY_TYPES["sku"].apply(state, fact)  # raises if I1, I2 or I3 is broken
        for hold in state.holds.values():
            owner = orders.get(hold.order_id)
            yield f"I7: {key[1]} still holds {hold.quantity} for {hold.id}, whose order is {owner and owner.status}"
        for order_id, owner in orders.items():
            wanted = sum(line.quantity for line in owner.lines if line.sku == key[1])
            held, sold = stock_of(facts, order_id)
            should = wanted if owner.status in SOLD else 0
            if (held, sold) != (0, should):
                yield f"I6: {key[1]} holds {held} and sold {sold} to {order_id}, which is {owner.status} and has {wanted}"
        strangers = {getattr(fact, "order_id", "") for fact in facts} - set(orders) - {"", "theirs"}
        for order_id in sorted(strangers):
            if stock_of(facts, order_id) != (0, 0):
                yield f"I7: {key[1]} is left with {stock_of(facts, order_id)} of {order_id}, which does not exist"


def _money(world: World, _history: History) -> Iterator[str]:
    """I4 and I5: orders, payments and the gateway's ledger tell the same story."""
    orders, payments = orders_of(world), payments_of(world)
    captured: dict[str, list[Any]] = {}
    refunded: Counter[str] = Counter()
    for row in world.tables.ledger.values():
        order_id = row.key.partition(":")[0]
        if row.kind == "capture" and row.status == "succeeded":
            captured.setdefault(order_id, []).append(row)
        elif row.kind == "refund":
            refunded[order_id] += row.amount_minor
    for order_id, rows in captured.items():
        if len(rows) > 1:
            yield f"I4: {order_id} was captured {len(rows)} times"
        if order_id not in orders:
            yield f"I5: money was captured for {order_id}, which does not exist"
    for order_id, state in orders.items():
        paid = payments.get(order_id, payment.Payment(order_id=order_id))
        taken = sum(row.amount_minor for row in captured.get(order_id, ()))
        if (taken, refunded[order_id]) != (paid.captured, paid.refunded):
            yield f"I5: {order_id}: ledger {taken}/{refunded[order_id]}, payment {paid.captured}/{paid.refunded}"
        owed = state.amounts.total if state.paid else 0
        if paid.captured != owed:
            yield f"I4: {order_id} is {state.status}, total {state.amounts.total}, and {paid.captured} was captured"
        if state.status in ("cancelled", "refunded") and paid.refunded != paid.captured:
            yield f"I4: {order_id} is {state.status}, {paid.refunded} of {paid.captured} was given back"
        if state.refund_reserved != paid.refunded:
            yield f"I4: {order_id} gave back {state.refund_reserved}, its payment {paid.refunded}"


def _orders(world: World, _history: History) -> Iterator[str]:
    """I11: nothing is left to do. I12: totals."""
    for order_id, state in orders_of(world).items():
        if state.status not in FINAL or state.cancelling or state.paying or state.open_refund is not None:
            yield f"I11: {order_id} is still {state.status}, payment {state.payment and state.payment.status}"
        prices = {(row.sku, row.version): row.price_minor for line in state.lines for row in world.prices_of(line.sku)}
        goods = sum(prices.get((line.sku, line.price_version), -1) * line.quantity for line in state.lines)
        if goods != state.amounts.subtotal or state.amounts.shipping or state.amounts.tax:
            yield f"I12: {order_id} costs {state.amounts}, its lines {goods}"


def _answers(world: World, history: History) -> Iterator[str]:
    """I15: what was acknowledged is so."""
    for deed in history.deeds:
        if deed.entity_type != "order" or not (deed.done or any(sent.accepted for sent in deed.sent)):
            continue
        state = order_of(world, deed.entity_id)
        if state is None:
            yield f"I15: {deed} was acknowledged, and the order does not exist"
            continue
        full = [sent.reply.order for sent in deed.sent if sent.done and not sent.accepted]
        match deed.command:
            case order.PlaceOrder() if full and (full[0].lines, full[0].amounts) != (state.lines, state.amounts):
                yield f"I15: {deed} was told other lines or amounts than the order has"
            case order.PayOrder() if full and not state.paid:
                yield f"I15: {deed} was told that it is paid"
            case order.CancelOrder() if state.status != "cancelled":
                yield f"I15: {deed} was acknowledged, and the order is {state.status}"
            case order.ShipOrder() if state.shipment is None:
                yield f"I15: {deed} was acknowledged, and there is no shipment"
            case order.DeliverOrder() if state.shipment is None or not state.shipment.delivered_at_ms:
                yield f"I15: {deed} was acknowledged, and nothing was delivered"
            case order.RefundOrder() if all(refund.mark.command_id != deed.command_id for refund in state.refunds):
                yield f"I15: {deed} was acknowledged, and there is no such refund"


def _refusals(world: World, history: History) -> Iterator[str]:
    """I15: what was refused, or never ran, left nothing behind."""
    made = {
        event.command_id: key
        for service in JOURNAL_SERVICES
        for key, events in events_of(world, service).items()
        for event in events
    }
    for deed in history.deeds:
        refused = deed.refused_for_good or (deed.never_ran and bool(deed.sent) and not deed.done)
        declined = any(sent.refused and sent.reply.code == "payment-declined" for sent in deed.sent)
        if not refused or declined or deed.entity_type == "cart":
            continue
        if deed.command_id in made:
            said = [sent.code or sent.reply.code for sent in deed.sent]
            yield f"I15: {deed} was told {said}, and there are events of it at {made[deed.command_id]}"


def _same_key(_world: World, history: History) -> Iterator[str]:
    """I16: the same key has the same outcome, and the same body."""
    for deed in history.deeds:
        bodies: list[tuple[Any, int]] = []
        refusals: set[str] = set()
        for sent in sorted(deed.sent, key=lambda sent: sent.ended_ms):
            if sent.refused:
                code = sent.reply.code
                if bodies:
                    yield f"I16: {deed} was done, then refused: {code}"
                if code not in NOT_REMEMBERED:
                    refusals.add(code)
            elif sent.done and not sent.accepted:
                bodies.append((sent.reply, sent.ended_ms))
        if len(refusals) > 1:
            yield f"I16: {deed} was refused as {sorted(refusals)}"
        if bodies and "payment-declined" in refusals:
            yield f"I16: {deed} was declined, and done"
        placed = isinstance(deed.command, order.PlaceOrder | inventory.AdjustStock | inventory.HoldExternally)
        if placed and any(body != bodies[0][0] for body, _ in bodies):
            yield f"I16: {deed} was answered differently: {[body for body, _ in bodies]}"


def _once(world: World, _history: History) -> Iterator[str]:
    """One command, one effect: however often it was sent."""
    once = (
        "order.created", "order.payment_attempted", "order.cancel_requested", "order.refund_requested",
        "order.shipped", "order.delivered", "stock.adjusted",
    )  # fmt: skip
    seen: Counter[tuple[Any, str, str]] = Counter()
    for service in JOURNAL_SERVICES:
        for key, events in events_of(world, service).items():
            seen.update((key, event.command_id, event.type) for event in events if event.type in once)
    for row in world.tables.carts.outbox.rows.values():
        event = row.event
        if event.type in ("cart.item_added", "cart.item_updated", "cart.merged"):
            seen[(event.entity_type, event.entity_id), event.command_id, event.type] += 1
    for what, times in seen.items():
        if times > 1:
            yield f"I16: {what} happened {times} times"


def _stock_moves(world: World, history: History) -> Iterator[str]:
    """What was received is what the acknowledged adjustments say; of the unknown ones, either."""
    by_sku: dict[str, list[Deed]] = {}
    for deed in history.of(inventory.AdjustStock):
        by_sku.setdefault(deed.entity_id, []).append(deed)
    for sku, deeds in by_sku.items():
        sums = {sum(deed.command.delta for deed in deeds if deed.done)}
        for deed in deeds:
            if not deed.done and not deed.never_ran:
                sums |= {total + deed.command.delta for total in sums}
        received = fold(("sku", sku), events_of(world, "inventory")["sku", sku]).received
        if received not in sums:
            yield f"I1: {sku} received {received}; acknowledged were {sorted(sums)}"


def _carts(world: World, history: History) -> Iterator[str]:
    """I17, and no claim is left."""
    orders = orders_of(world)
    for cart_id, log in history.carts.items():
        state: cart.Cart = cart_of(world, cart_id)
        if state.claim is not None:
            yield f"I7: {cart_id} is still claimed by {state.claim.order_id}"
        for entry in log:
            if isinstance(entry, Ordered) and (made := orders.get(entry.order_id)) is not None and made.placed:
                entry.lines = tuple(sorted((line.sku, line.quantity) for line in made.lines))
        wrong = breach(log, lines_of(state))
        if wrong:
            yield f"I17: {cart_id}: {wrong}"
