"""Bodies of orders."""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_extra_types.country import CountryAlpha2

from actors.domain.ids import payment_id
from actors.domain.order import LINES_MAX, Address, Order, OrderLine, PaymentMethod, Shipment, Status, WantedLine
from serve.clock import iso
from serve.schemas.base import CamelIn, CamelOut
from serve.schemas.cart import CartId, Quantity, is_cart_id
from serve.schemas.catalog import Sku
from serve.schemas.money import MoneyIn, MoneyOut
from serve.schemas.users import Email

_ORDER_ID: Final = re.compile(r"ord_[a-z2-7]{24}")
_NO_CONTROLS: Final = r"^[^\x00-\x1f\x7f]+$"
_EXAMPLE_ADDRESS: Final = {
    "name": "Ada Example",
    "line1": "1 Main Street",
    "city": "Springfield",
    "postalCode": "12345",
    "country": "US",
}

OrderId = Annotated[str, StringConstraints(pattern=r"^ord_[a-z2-7]{24}$"), Field(examples=["ord_" + "a" * 24])]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=_NO_CONTROLS)]
ShortLine = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=_NO_CONTROLS)]
Phone = Annotated[str, StringConstraints(pattern=r"^\+?[0-9][0-9 ()./-]{3,30}$"), Field(examples=["+1 555 0100"])]
Country = Annotated[CountryAlpha2, AfterValidator(str), Field(examples=["US"], description="ISO 3166-1 alpha-2")]


def is_order_id(text: str) -> bool:
    """Whether an order can have this id. One that cannot is answered like one that does not exist."""
    return _ORDER_ID.fullmatch(text) is not None


def _possible_cart(user_id: str) -> str:
    if not is_cart_id(user_id):
        raise ValueError("must be an account's id or a guest cart's")
    return user_id


class AddressIn(CamelIn):
    """Where to ship to."""

    name: ShortLine
    line1: Line
    line2: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] | None = None
    city: ShortLine
    postal_code: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20)]
    country: Country
    phone: Phone | None = None

    def address(self) -> Address:
        """As the order keeps it."""
        return Address(
            name=self.name,
            line1=self.line1,
            line2=self.line2 or "",
            city=self.city,
            postal_code=self.postal_code,
            country=str(self.country),
            phone=self.phone or "",
        )


class PaymentMethodIn(CamelIn):
    """A token that stands for a card at the gateway."""

    type: Literal["card"] = Field("card", examples=["card"])
    token: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")] = Field(examples=["tok_ok"])

    def method(self) -> PaymentMethod:
        """As the order keeps it."""
        return PaymentMethod(type=self.type, token=self.token)


class OrderItemIn(CamelIn):
    """Units of one SKU."""

    sku: Sku = Field(examples=["LAPTOP-001"])
    quantity: Quantity

    def line(self) -> WantedLine:
        """As the order takes it."""
        return WantedLine(sku=self.sku, quantity=self.quantity)


class OrderIn(CamelIn):
    """An order of `items`, or of the whole cart without them. Without `payment_method` it waits to be paid.

    `email` is where a guest hears of the order; an account's own address is taken if it is absent.
    """

    user_id: Annotated[CartId, AfterValidator(_possible_cart)]
    items: Annotated[list[OrderItemIn], Field(min_length=1, max_length=LINES_MAX)] | None = Field(
        None, examples=[[{"sku": "LAPTOP-001", "quantity": 1}]]
    )
    shipping_address: AddressIn = Field(examples=[_EXAMPLE_ADDRESS])
    payment_method: PaymentMethodIn | None = Field(None, examples=[{"type": "card", "token": "tok_ok"}])
    expected_total: MoneyIn | None = None
    email: Email | None = None


class CancelIn(CamelIn):
    """Why."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = ""


class ShipIn(CamelIn):
    """How it travels."""

    carrier: Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)] | None = None
    tracking_number: Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)] | None = None


class OrderItemOut(CamelOut):
    """Units of one SKU at the price they were sold at."""

    product_id: str = Field(examples=["prod-laptop-001"])
    sku: str = Field(examples=["LAPTOP-001"])
    name: str = Field(examples=["Premium Ultrabook Pro 15"])
    quantity: int
    unit_price: MoneyOut
    line_total: MoneyOut

    @classmethod
    def of(cls, line: OrderLine) -> "OrderItemOut":
        """As sold."""
        return cls.model_construct(
            product_id=line.product_id,
            sku=line.sku,
            name=line.name,
            quantity=line.quantity,
            unit_price=line.unit_price,
            line_total=line.unit_price * line.quantity,
        )


class AddressOut(CamelOut):
    """Where it is shipped to."""

    name: str
    line1: str
    line2: str | None
    city: str
    postal_code: str
    country: str = Field(examples=["US"])
    phone: str | None

    @classmethod
    def of(cls, address: Address) -> "AddressOut":
        """As kept; what was not given is null."""
        return cls.model_construct(
            name=address.name,
            line1=address.line1,
            line2=address.line2 or None,
            city=address.city,
            postal_code=address.postal_code,
            country=address.country,
            phone=address.phone or None,
        )


class ShipmentOut(CamelOut):
    """How it travels, and since when."""

    carrier: str | None
    tracking_number: str | None
    shipped_at: str
    delivered_at: str | None

    @classmethod
    def of(cls, shipment: Shipment) -> "ShipmentOut":
        """As kept; what was not given or has not happened is null."""
        return cls.model_construct(
            carrier=shipment.carrier or None,
            tracking_number=shipment.tracking_number or None,
            shipped_at=iso(shipment.shipped_at_ms),
            delivered_at=iso(shipment.delivered_at_ms) if shipment.delivered_at_ms else None,
        )


class OrderOut(CamelOut):
    """An order. `payment_id` is null until a payment was tried; `allowed_transitions` is what may follow now."""

    id: str = Field(examples=["ord_" + "a" * 24])
    user_id: str
    status: Status
    items: list[OrderItemOut]
    subtotal: MoneyOut
    shipping: MoneyOut
    tax: MoneyOut
    total: MoneyOut
    currency: str = Field(examples=["USD"])
    payment_id: str | None
    shipping_address: AddressOut
    shipment: ShipmentOut | None
    allowed_transitions: list[str]
    created_at: str
    updated_at: str
    version: int

    @classmethod
    def of(cls, order: Order) -> "OrderOut":
        """As its owner sees it."""
        # Built without checking: every part of it was checked when it came in.
        return cls.model_construct(
            id=order.id,
            user_id=order.user_id,
            status=order.status,
            items=[OrderItemOut.of(line) for line in order.lines],
            subtotal=order.amounts.subtotal,
            shipping=order.amounts.shipping,
            tax=order.amounts.tax,
            total=order.amounts.total,
            currency=order.amounts.currency,
            payment_id=None if order.payment is None else payment_id(order.id),
            shipping_address=AddressOut.of(order.shipping_address),
            shipment=None if order.shipment is None else ShipmentOut.of(order.shipment),
            allowed_transitions=list(order.allowed),
            created_at=iso(order.created_at_ms),
            updated_at=iso(order.updated_at_ms),
            version=order.version,
        )


class HistoryEventOut(CamelOut):
    """One thing that happened to an order. `actor` is an account, a service, a guest's cart, or `system`."""

    type: str = Field(examples=["order.created"])
    at: str
    version: int
    actor: str
    data: dict[str, Any]


class HistoryOut(CamelOut):
    """Everything that happened to an order, oldest first."""

    data: list[HistoryEventOut]
