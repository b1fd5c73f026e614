"""Bodies of payments."""

import re
from typing import Annotated, Final

from pydantic import Field

from actors.domain.ids import payment_id
from actors.domain.order import Order
from actors.domain.payment import Payment, Status
from serve.clock import iso
from serve.schemas.base import CamelIn, CamelOut
from serve.schemas.money import Currency, MoneyIn, MoneyOut
from serve.schemas.orders import OrderId, PaymentMethodIn

_PAYMENT_ID: Final = re.compile(r"pay_[a-z2-7]{24}")

_STATUS_OF_ATTEMPT: Final[dict[str, Status]] = {
    "open": "pending",
    "unknown": "pending",
    "captured": "captured",
    "failed": "failed",
    "closed": "failed",
}


def is_payment_id(text: str) -> bool:
    """Whether a payment can have this id. One that cannot is answered like one that does not exist."""
    return _PAYMENT_ID.fullmatch(text) is not None


class PaymentIn(CamelIn):
    """Pay an order: `amount` and `currency` must be what is due."""

    order_id: OrderId
    amount: MoneyIn
    currency: Currency = Field(examples=["USD"])
    method: PaymentMethodIn


class RefundIn(CamelIn):
    """Give back `amount`, or all that is left of what was captured."""

    amount: Annotated[MoneyIn, Field(gt=0)] | None = None


class PaymentMethodOut(CamelOut):
    """How it was paid, as far as it may be shown."""

    type: str = Field(examples=["card"])
    last4: str | None = Field(examples=["4242"])


class PaymentOut(CamelOut):
    """A payment. `captured` is what was taken, `refunded` what was given back of it."""

    id: str = Field(examples=["pay_" + "a" * 24])
    order_id: str = Field(examples=["ord_" + "a" * 24])
    status: Status
    amount: MoneyOut
    captured: MoneyOut
    refunded: MoneyOut
    currency: str = Field(examples=["USD"])
    method: PaymentMethodOut
    created_at: str

    @classmethod
    def of(cls, payment: Payment) -> "PaymentOut":
        """As recorded."""
        return cls(
            id=payment.id,
            order_id=payment.order_id,
            status=payment.status,
            amount=payment.amount,
            captured=payment.captured,
            refunded=payment.refunded,
            currency=payment.currency,
            method=PaymentMethodOut(type=payment.method_type, last4=payment.last4 or None),
            created_at=iso(payment.created_at_ms),
        )

    @classmethod
    def of_order(cls, order: Order) -> "PaymentOut":
        """What the order knows of its payment before that is recorded: `pending` while the gateway's word is awaited."""
        attempt, total = order.payment, order.amounts.total
        assert attempt is not None
        status = _STATUS_OF_ATTEMPT[attempt.status]
        return cls(
            id=payment_id(order.id),
            order_id=order.id,
            status=status,
            amount=total,
            captured=total if status == "captured" else 0,
            refunded=0,
            currency=order.amounts.currency,
            method=PaymentMethodOut(type=attempt.method.type, last4=attempt.last4 or None),
            created_at=iso(order.updated_at_ms),
        )
