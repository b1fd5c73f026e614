"""An order: the only truth about itself. Whoever holds something for it asks it, and it alone decides.

                    ┌──► payment_failed
    pending ────────┼──► confirmed ──► shipped ──► delivered ──► refunded
       │            └──► expired           (full refund)
       └─────────────────► cancelled ◄── confirmed

An order is journaled with the intent of its first payment attempt; every attempt is journaled before the charge
and its end after it. `cancel` is journaled as requested first: from then on nothing but `cancelled` can follow.
What is done between the events (reserving, charging, giving back) is `checkout.next_step`.
"""

from typing import Literal, TypeAlias

import msgspec

from actors.domain.decision import CommandMark, Rejected, Remembered

Status: TypeAlias = Literal[
    "pending", "confirmed", "shipped", "delivered", "payment_failed", "cancelled", "expired", "refunded"
]
ALLOWED: dict[str, tuple[str, ...]] = {
    "pending": ("confirmed", "cancelled"),
    "confirmed": ("shipped", "cancelled"),
    "shipped": ("delivered",),
    "delivered": ("refunded",),
}
HoldVerdict: TypeAlias = Literal["keep", "commit", "release"]
ClaimVerdict: TypeAlias = Literal["keep", "remove", "release"]
UNPAID_TTL_MS = 900_000
LINES_MAX = 100
ASK_GATEWAY_FIRST_MS = 1_000
ASK_GATEWAY_MAX_MS = 60_000


# --- state ---------------------------------------------------------------------------------------


class OrderLine(msgspec.Struct, frozen=True, kw_only=True):
    """Units of one SKU at the price version they were sold at."""

    sku: str
    product_id: str
    name: str
    quantity: int
    unit_price: int
    price_version: int


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where to ship to. `country` is ISO 3166-1 alpha-2."""

    name: str
    line1: str
    city: str
    postal_code: str
    country: str
    line2: str = ""
    phone: str = ""


class Amounts(msgspec.Struct, frozen=True, kw_only=True):
    """total = subtotal + shipping + tax, minor units."""

    subtotal: int
    shipping: int
    tax: int
    currency: str

    @property
    def total(self) -> int:
        """What is charged."""
        return self.subtotal + self.shipping + self.tax


class PaymentMethod(msgspec.Struct, frozen=True, kw_only=True):
    """How the client means to pay. `token` stands for a card at the gateway; it never leaves the journal."""

    type: str
    token: str


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """The n-th payment attempt. open and unknown: money may move; closed and failed: it never will."""

    n: int
    method: PaymentMethod
    mark: CommandMark
    status: Literal["open", "unknown", "captured", "failed", "closed"] = "open"
    reference: str = ""
    last4: str = ""
    reason: str = ""
    asked: int = 0
    ask_at_ms: int = 0


class RefundRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Money to be given back; `done` once the gateway and the payment have it."""

    n: int
    amount: int
    mark: CommandMark
    done: bool = False


class Shipment(msgspec.Struct, frozen=True, kw_only=True):
    """How it travels."""

    carrier: str
    tracking_number: str
    shipped_at_ms: int
    delivered_at_ms: int = 0


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """What the order was when its placement was first answered: repeats of the request get that again."""

    version: int
    status: Status
    at_ms: int


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One order. `attempt_ms` is the attempt (see `attempts`) that made it."""

    id: str
    version: int
    user_id: str
    email: str
    cart_id: str
    fingerprint: str
    attempt_ms: int
    status: Status
    lines: tuple[OrderLine, ...]
    amounts: Amounts
    shipping_address: Address
    payment: Attempt | None
    expires_at_ms: int
    created_at_ms: int
    updated_at_ms: int
    placed: Placed | None = None
    cancel: CommandMark | None = None
    cancel_reason: str = ""
    refunds: tuple[RefundRequest, ...] = ()
    shipment: Shipment | None = None
    recent: tuple[Remembered, ...] = ()

    @property
    def cancelling(self) -> bool:
        """Whether a cancel was requested and is not complete."""
        return self.cancel is not None and self.status != "cancelled"

    @property
    def paid(self) -> bool:
        """Whether money was captured for it."""
        return self.payment is not None and self.payment.status == "captured"

    @property
    def paying(self) -> bool:
        """Whether money may be moving: while so it neither expires nor is paid otherwise."""
        return self.payment is not None and self.payment.status in ("open", "unknown")

    @property
    def refund_reserved(self) -> int:
        """Minor units given back, or on their way."""
        return sum(refund.amount for refund in self.refunds)

    @property
    def open_refund(self) -> RefundRequest | None:
        """The first refund that is not done."""
        return next((refund for refund in self.refunds if not refund.done), None)

    @property
    def allowed(self) -> tuple[str, ...]:
        """What may be done with it now."""
        return () if self.cancelling else ALLOWED.get(self.status, ())


def capture_key(order_id: str, n: int) -> str:
    """The gateway's key of the n-th payment attempt."""
    return f"{order_id}:capture:{n}"


def refund_key(order_id: str, n: int) -> str:
    """The gateway's key of the n-th refund."""
    return f"{order_id}:refund:{n}"


def order_of_key(key: str) -> str:
    """The order that a gateway's key belongs to."""
    return key.partition(":")[0]


# --- commands of clients -------------------------------------------------------------------------


class WantedLine(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for; the price is not its business."""

    sku: str
    quantity: int


class PlaceOrder(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Make this order, from `lines`, or from the cart `cart_id` when there are none."""

    user_id: str
    email: str
    cart_id: str
    lines: tuple[WantedLine, ...]
    shipping_address: Address
    payment_method: PaymentMethod | None = None
    expected_total: int | None = None


class PayOrder(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Pay an order that was placed without a payment method."""

    amount: int
    currency: str
    method: PaymentMethod


class CancelOrder(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Cancel: refund what was paid, give the stock back."""

    reason: str = ""


class ShipOrder(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """It left the house."""

    carrier: str = ""
    tracking_number: str = ""


class DeliverOrder(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """It arrived."""


class RefundOrder(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Give back `amount` minor units of what was captured (None: all that is left)."""

    amount: int | None = None


class GetOrder(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Read it (most readers use the view)."""


# --- commands of the saga, and questions of others --------------------------------------------------


class CreateOrder(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Everything is reserved: journal the order, with its payment intent. Key: the attempt."""

    order_id: str
    request: PlaceOrder
    attempt_ms: int
    mark: CommandMark
    lines: tuple[OrderLine, ...]
    amounts: Amounts


class SettlePayment(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The gateway's word on attempt `n`; `unknown`: it has none yet."""

    n: int
    status: Literal["captured", "failed", "closed", "unknown"]
    reference: str = ""
    last4: str = ""
    reason: str = ""


class PaymentNews(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The gateway let us know that it has something to say about `key`: ask it now, not at its next turn.

    A hint: it says nothing about the payment itself, so a wrong, a late or a repeated one does no harm.
    """

    key: str


class CompleteCancel(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Refund and return are done."""


class CompleteRefund(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The gateway and the payment have the n-th refund."""

    n: int


class ExpireOrder(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Its time to be paid is over."""


class InquireHold(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A SKU asks about its reservation."""

    sku: str
    attempt_ms: int


class InquireClaim(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A cart asks about its claim."""

    attempt_ms: int


Command: TypeAlias = (
    PlaceOrder
    | PayOrder
    | CancelOrder
    | ShipOrder
    | DeliverOrder
    | RefundOrder
    | GetOrder
    | CreateOrder
    | SettlePayment
    | PaymentNews
    | CompleteCancel
    | CompleteRefund
    | ExpireOrder
    | InquireHold
    | InquireClaim
)
URGENT = (CreateOrder, SettlePayment, CompleteCancel, CompleteRefund, ExpireOrder, InquireHold, InquireClaim)


# --- replies -------------------------------------------------------------------------------------


class OrderAnswer(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The order after the command. `accepted`: it is durable and settles on its own (202)."""

    order: Order
    accepted: bool = False


class HoldWord(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The order's word on a reservation."""

    verdict: HoldVerdict


class ClaimWord(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The order's word on a cart's claim."""

    verdict: ClaimVerdict


Reply: TypeAlias = OrderAnswer | HoldWord | ClaimWord | Rejected


# --- events --------------------------------------------------------------------------------------


class OrderCreated(msgspec.Struct, frozen=True, kw_only=True, tag="order.created"):
    """The order stands, its stock reserved; with `payment` the first attempt is about to be charged."""

    id: str
    user_id: str
    email: str
    cart_id: str
    fingerprint: str
    attempt_ms: int
    lines: tuple[OrderLine, ...]
    amounts: Amounts
    shipping_address: Address
    payment: Attempt | None
    expires_at_ms: int
    actor: str
    at_ms: int


class PaymentAttempted(msgspec.Struct, frozen=True, kw_only=True, tag="order.payment_attempted"):
    """A charge is about to be made."""

    attempt: Attempt
    at_ms: int


class PaymentDelayed(msgspec.Struct, frozen=True, kw_only=True, tag="order.payment_delayed"):
    """The gateway has not answered; it is asked again at `ask_at_ms` (news of the gateway move that to now)."""

    n: int
    asked: int
    ask_at_ms: int
    at_ms: int


class OrderConfirmed(msgspec.Struct, frozen=True, kw_only=True, tag="order.confirmed"):
    """Paid."""

    n: int
    reference: str
    last4: str
    at_ms: int


class OrderPaymentFailed(msgspec.Struct, frozen=True, kw_only=True, tag="order.payment_failed"):
    """Declined, for good."""

    n: int
    reason: str
    at_ms: int


class OrderCancelRequested(msgspec.Struct, frozen=True, kw_only=True, tag="order.cancel_requested"):
    """It will be cancelled, whatever else happens; `refund` of what was captured already."""

    reason: str
    refund: RefundRequest | None
    at_ms: int
    mark: CommandMark


class CancelledPaymentSettled(msgspec.Struct, frozen=True, kw_only=True, tag="order.cancelled_payment_settled"):
    """What became of the attempt that was open when the cancel came; a capture is to be refunded."""

    n: int
    status: Literal["captured", "failed", "closed"]
    reference: str
    last4: str
    refund: RefundRequest | None
    at_ms: int


class OrderCancelled(msgspec.Struct, frozen=True, kw_only=True, tag="order.cancelled"):
    """Refund and return are done."""

    reason: str
    refunded: int
    at_ms: int


class OrderExpired(msgspec.Struct, frozen=True, kw_only=True, tag="order.expired"):
    """Nobody paid in time."""

    at_ms: int


class OrderShipped(msgspec.Struct, frozen=True, kw_only=True, tag="order.shipped"):
    """It left the house."""

    carrier: str
    tracking_number: str
    at_ms: int
    mark: CommandMark


class OrderDelivered(msgspec.Struct, frozen=True, kw_only=True, tag="order.delivered"):
    """It arrived."""

    at_ms: int
    mark: CommandMark


class RefundRequested(msgspec.Struct, frozen=True, kw_only=True, tag="order.refund_requested"):
    """Money is about to be given back."""

    refund: RefundRequest
    at_ms: int
    mark: CommandMark


class RefundCompleted(msgspec.Struct, frozen=True, kw_only=True, tag="order.refund_completed"):
    """Money was given back."""

    n: int
    at_ms: int


class OrderRefunded(msgspec.Struct, frozen=True, kw_only=True, tag="order.refunded"):
    """All of it was given back, after delivery."""

    n: int
    at_ms: int


Event: TypeAlias = (
    OrderCreated
    | PaymentAttempted
    | PaymentDelayed
    | OrderConfirmed
    | OrderPaymentFailed
    | OrderCancelRequested
    | CancelledPaymentSettled
    | OrderCancelled
    | OrderExpired
    | OrderShipped
    | OrderDelivered
    | RefundRequested
    | RefundCompleted
    | OrderRefunded
)
