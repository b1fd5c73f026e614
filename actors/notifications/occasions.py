"""Which events a customer hears of. Pure.

Every event here makes one message a channel. What a shopper reads about is money and the parcel: an order that waits to
be paid and one whose card was declined got their answer on the page that placed them.

A refund is told when the money was given back, once for each: `order.refund_completed`, in whatever status the order is.
`order.refunded`, which follows the last one after delivery in the same append, would say it a second time. A refund that
belongs to a cancel is told by the cancel's own message.
"""

from typing import Literal, TypeAlias

from actors.domain import order
from actors.domain.order import Order

OrderMessageType: TypeAlias = Literal[
    "order_confirmed", "order_shipped", "order_delivered", "order_cancelled", "order_expired", "order_refunded"
]
MessageType: TypeAlias = Literal["welcome"] | OrderMessageType

REGISTERED = "user.registered"
TYPE_OF: dict[str, OrderMessageType] = {
    "order.confirmed": "order_confirmed",
    "order.shipped": "order_shipped",
    "order.delivered": "order_delivered",
    "order.cancelled": "order_cancelled",
    "order.expired": "order_expired",
    "order.refund_completed": "order_refunded",
}
"""Message type by type of the order's event; all others are passed over."""


def event_id(entity_type: str, entity_id: str, version: int) -> str:
    """The name of an event for everybody outside."""
    return f"{entity_type}:{entity_id}:{version}"


def is_told(event: order.Event, state: Order) -> bool:
    """Whether this event of a type in `TYPE_OF` has a message of its own. `state`: the order at the event or later."""
    return not isinstance(event, order.RefundCompleted) or not _of_cancel(state, event.n)


def _of_cancel(state: Order, refund_n: int) -> bool:
    if state.cancel is None:
        return False
    marks = (refund.mark for refund in state.refunds if refund.n == refund_n)
    return any(mark.command_id == state.cancel.command_id for mark in marks)
