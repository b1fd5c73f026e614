"""What must be durable at the very moment of an answer (I15, and the routes' own words)."""

from typing import TYPE_CHECKING, Any

from actors.domain import order
from actors.domain.ids import payment_id
from cluster.hashing import shard_of
from persistence.records import PaymentRow
from tests.simulation.stored import order_of, sku_events, stock_of
from tests.simulation.world import SHARDS

if TYPE_CHECKING:
    from tests.simulation.history import Deed, Sent
    from tests.simulation.world import World


def broken(world: "World", deed: "Deed", sent: "Sent") -> list[str]:
    """What this answer promises and the stores do not have."""
    if not isinstance(sent.reply, order.OrderAnswer) or isinstance(deed.command, order.GetOrder):
        return []
    said = sent.reply.order
    stored = order_of(world, said.id)
    if stored is None or stored.version < said.version:
        return [f"{deed} was answered with version {said.version}, the store has {stored and stored.version}"]
    if sent.reply.accepted:
        return []
    payment = world.tables.journals["payments"].views.get(payment_id(said.id))
    match deed.command:
        case order.PlaceOrder() | order.PayOrder() if said.status == "confirmed":
            # A repeat that finds the order confirmed is told so, a moment before its saga has recorded the payment too.
            first = len(deed.sent) == 1 and epoch_of(world, said.id) == deed.epoch
            return _captured(deed, stored, payment) if first else []
        case order.CancelOrder():
            return [*_refunded(deed, stored, payment), *_given_back(world, deed, stored)]
        case order.RefundOrder():
            return _refunded(deed, stored, payment)
    return []


def epoch_of(world: "World", routing_key: str) -> int:
    """The epoch under which this entity's journal is written now."""
    head = world.tables.journals["orders"].heads.get(shard_of(routing_key, SHARDS))
    return head.epoch if head is not None else 0


def _captured(deed: "Deed", stored: order.Order, payment: Any) -> list[str]:
    if isinstance(payment, PaymentRow) and payment.captured_minor == stored.amounts.total:
        return []
    return [f"{deed} was told of a confirmed order, and its payment is {payment and payment.status}"]


def _refunded(deed: "Deed", stored: order.Order, payment: Any) -> list[str]:
    done = sum(refund.amount for refund in stored.refunds if refund.done)
    mine = [refund for refund in stored.refunds if refund.mark.command_id == deed.command_id]
    given = payment.refunded_minor if isinstance(payment, PaymentRow) else 0
    owed = stored.amounts.total if stored.status == "cancelled" and stored.paid else done
    if given >= done >= owed and all(refund.done for refund in mine):
        return []
    return [f"{deed} was answered: of {owed} the order gave back {done}, its payment {given}"]


def _given_back(world: "World", deed: "Deed", stored: order.Order) -> list[str]:
    left = {line.sku: stock_of(sku_events(world, line.sku), stored.id) for line in stored.lines}
    return [f"{deed} was answered, and {sku} still has {of} of it" for sku, of in left.items() if of != (0, 0)]
