"""I1 to I3 for every SKU, by a tally of its own at every prefix; I6 and I7 between SKUs and orders."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.audit.facts import Findings, LineFact, LineKey, Moment, OrderFact
from actors.audit.journal import Folded
from actors.domain import inventory
from actors.domain.inventory import Hold, Sku
from persistence.records import Head, StockRow

OVER = ("payment_failed", "cancelled", "expired")


@dataclass(slots=True)
class Tally:
    """A SKU's stock, counted from its events without the domain's `apply`. `held` is the sum of its holds."""

    received: int = 0
    returned: int = 0
    on_hand: int = 0
    sold: int = 0
    reserved: int = 0
    held: int = 0
    holds: dict[str, Hold] = field(default_factory=dict)
    flagged: set[str] = field(default_factory=set)
    """Invariants that were found broken: once a SKU is enough."""


class StockWatcher:
    """Watches the inventory journal. Leaves what the orders' lines hold, sold and returned in `lines`."""

    def __init__(self, rows: Mapping[str, StockRow]) -> None:
        self.findings = Findings()
        self.lines: dict[LineKey, LineFact] = {}
        self.external: list[tuple[str, Hold]] = []
        self._rows = rows
        self._tallies: dict[str, Tally] = {}

    def saw(self, entity: Folded, event: Any, _at_ms: int) -> None:
        """Count it, and judge the prefix."""
        tally = self._tallies.setdefault(entity.id, Tally())
        self._count(entity, tally, event)
        self._judge(entity, tally)

    def moved(self, entity: Folded, _before: Any, _event: Any, _at_ms: int) -> None:
        """The domain's fold must have come to the same numbers."""
        tally, state = self._tallies[entity.id], entity.state
        assert isinstance(state, Sku)
        if state.received + state.returned != state.on_hand + state.sold:
            self._flag(entity, tally, "I1", "received + returned is not on hand + sold")
        mine = (tally.received, tally.returned, tally.on_hand, tally.sold, tally.reserved)
        if mine != (state.received, state.returned, state.on_hand, state.sold, state.reserved):
            self._flag(entity, tally, "I1", f"counted {mine}, folded {state.received, state.returned, state.on_hand}")

    def done(self, entity: Folded, _head: Head) -> None:
        """Keep what is compared with the orders."""
        tally = self._tallies.pop(entity.id)
        self.findings.checked.update(("I1", "I2", "I3"))
        self.external += [(entity.id, hold) for hold in tally.holds.values() if hold.external]

    def _count(self, entity: Folded, tally: Tally, event: inventory.Event) -> None:
        sku = entity.id
        match event:
            case inventory.StockReserved(hold=hold):
                before = tally.holds.get(hold.id)
                more = hold.quantity - (before.quantity if before else 0)
                tally.reserved += more
                tally.held += more
                tally.holds[hold.id] = hold
                if not hold.external:
                    self._line(hold.order_id, sku).hold = hold
            case inventory.StockReleased() | inventory.ReservationExpired():
                self._close(sku, tally, event)
                if isinstance(event, inventory.StockReleased) and event.returns:
                    self._came_back(event.order_id, entity)
                else:
                    self._forget(event.order_id, sku)
            case inventory.StockCommitted(quantity=quantity):
                self._close(sku, tally, event)
                tally.on_hand -= quantity
                tally.sold += quantity
                line = self._line(event.order_id, sku)
                line.sold += quantity
                line.commits += 1
            case inventory.StockReturned(quantity=quantity):
                tally.on_hand += quantity
                tally.returned += quantity
                self._came_back(event.order_id, entity).sold -= quantity
            case inventory.StockAdjusted(delta=delta):
                tally.on_hand += delta
                tally.received += delta
            case inventory.StockDepleted() | inventory.StockReplenished():
                pass

    def _close(
        self,
        sku: str,
        tally: Tally,
        event: inventory.StockReleased | inventory.ReservationExpired | inventory.StockCommitted,
    ) -> None:
        tally.reserved -= event.quantity
        hold = tally.holds.pop(event.reservation_id, None)
        if hold is not None:
            tally.held -= hold.quantity
            if not hold.external:
                self._line(event.order_id, sku).hold = None

    def _came_back(self, order_id: str, entity: Folded) -> LineFact:
        line = self._line(order_id, entity.id)
        line.returns += 1
        line.returned_before = line.returned_before or entity.was_before
        return line

    def _line(self, order_id: str, sku: str) -> LineFact:
        return self.lines.setdefault((order_id, sku), LineFact())

    def _forget(self, order_id: str, sku: str) -> None:
        """A plain release leaves nothing to compare: most refused orders end here."""
        line = self.lines.get((order_id, sku))
        if line is not None and line.hold is None and not line.commits and not line.returns:
            del self.lines[order_id, sku]

    def _judge(self, entity: Folded, tally: Tally) -> None:
        if tally.reserved != tally.held:
            self._flag(entity, tally, "I2", f"reserved {tally.reserved}, but its reservations hold {tally.held}")
        if not 0 <= tally.reserved <= tally.on_hand or tally.sold < 0:
            numbers = f"on hand {tally.on_hand}, reserved {tally.reserved}, sold {tally.sold}"
            self._flag(entity, tally, "I3", numbers)
        row = self._rows.get(entity.id)
        if row is None or row.version != entity.version:
            return
        if row.on_hand + row.sold != tally.received + tally.returned:
            self._flag(entity, tally, "I1", f"its read model has on hand {row.on_hand} and sold {row.sold}")
        if row.reserved != tally.held:
            self._flag(entity, tally, "I2", f"its read model has reserved {row.reserved}, held are {tally.held}")

    def _flag(self, entity: Folded, tally: Tally, invariant: str, detail: str) -> None:
        if invariant not in tally.flagged:
            tally.flagged.add(invariant)
            self.findings.breach(invariant, f"sku {entity.id}", f"version {entity.version}: {detail}")


def check_lines(orders: Mapping[str, OrderFact], lines: Mapping[LineKey, LineFact], moment: Moment) -> Findings:
    """I1: sold and returned once, and for a reason. I6: a paid order's lines. I7: open reservations."""
    findings = Findings()
    for (order_id, sku), line in lines.items():
        order = orders.get(order_id)
        _check_sold(findings, f"order {order_id} sku {sku}", order, sku, line)
        if line.hold is not None:
            findings.checked["I7"] += 1
            why = _outlived(order, sku, line.hold, moment)
            if why:
                findings.breach("I7", f"reservation {line.hold.id}", why, settling=True)
    for order in orders.values():
        if order.sold or order.was_confirmed:
            _check_paid(findings, order, lines, moment)
    return findings


def _check_sold(findings: Findings, subject: str, order: OrderFact | None, sku: str, line: LineFact) -> None:
    """The inventory's head was read before the orders': whatever moved stock is known to its order."""
    if line.commits > 1:
        findings.breach("I1", subject, f"sold {line.commits} times")
    if line.returns > 1:
        findings.breach("I1", subject, f"came back {line.returns} times")
    if line.commits and (order is None or not order.was_confirmed):
        findings.breach("I1", subject, "sold, but no such order was confirmed", settling=True)
    if line.returns and (order is None or not order.cancel_requested):
        findings.breach("I1", subject, "came back, but no such order is cancelled", settling=True)
    wanted = dict(order.lines).get(sku, 0) if order is not None else 0
    if (line.commits or line.returns) and line.sold != (0 if line.returns else wanted):
        findings.breach("I1", subject, f"{line.sold} units are out, ordered were {wanted}", settling=True)


def _check_paid(findings: Findings, order: OrderFact, lines: Mapping[LineKey, LineFact], moment: Moment) -> None:
    for sku, quantity in order.lines:
        line = lines.get((order.id, sku))
        subject = f"order {order.id} sku {sku}"
        findings.checked["I6"] += 1
        if order.status == "cancelled":
            if line is not None and line.sold and moment.past(order.decided_at_ms, moment.grace.fresh_ms):
                findings.breach(
                    "I1", subject, f"{line.sold} units of a cancelled order did not come back", settling=True
                )
            continue
        if order.cancelling or not moment.past(order.created_at_ms, moment.grace.fresh_ms):
            continue
        held = line is not None and line.hold is not None and line.hold.quantity == quantity
        if line is None or not (held or line.commits):
            findings.breach("I6", subject, "paid, but neither reserved nor sold", settling=True)


def _outlived(order: OrderFact | None, sku: str, hold: Hold, moment: Moment) -> str:
    """Why this hold should be gone; "" if it need not be."""
    grace = moment.grace
    mine = order is not None and hold.attempt_ms == order.attempt_ms and any(sku == line for line, _ in order.lines)
    if order is None or not mine:
        return "its order never came" if moment.past(hold.expires_at_ms, grace.orphan_ms) else ""
    if order.paying or order.cancelling:
        return ""
    if order.status == "pending":
        late = moment.past(order.expires_at_ms, grace.unpaid_ms + grace.settle_ms)
        return "its order was never paid, and its time is over" if late else ""
    if not moment.past(order.decided_at_ms, grace.settle_ms):
        return ""
    return f"its order is {order.status}" + ("" if order.status in OVER else ", but it is not sold")


def check_external(holds: Iterable[tuple[str, Hold]], moment: Moment) -> Findings:
    """I7 for reservations made through the API: they expire by themselves."""
    findings = Findings()
    for sku, hold in holds:
        findings.checked["I7"] += 1
        if moment.past(hold.expires_at_ms, moment.grace.external_ms):
            findings.breach("I7", f"reservation {hold.id} sku {sku}", "its own time is over", settling=True)
    return findings


def check_returns(rows: set[LineKey], lines: Mapping[LineKey, LineFact]) -> Findings:
    """I1: the rows that make a return act once are those of the returns in the journal.

    Rows were read between two heads: each has its event at the second, and each event of the first its row.
    """
    findings = Findings()
    returned = {key for key, line in lines.items() if line.returns}
    for order_id, sku in rows - returned:
        findings.breach("I1", f"order {order_id} sku {sku}", "marked as returned, but nothing came back")
    for order_id, sku in {key for key in returned if lines[key].returned_before} - rows:
        findings.breach("I1", f"order {order_id} sku {sku}", "came back, but is not marked so")
    return findings
