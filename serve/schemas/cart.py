"""Bodies of carts."""

import re
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from actors.domain.cart import LINE_QUANTITY_MAX
from serve.schemas.base import CamelIn, CamelOut
from serve.schemas.catalog import ProductId, Sku
from serve.schemas.money import MoneyOut

_CART_ID: Final = r"[A-Za-z0-9._:-]{1,128}"
_OF_SERVICES: Final = "svc_"
"""Ids of services: a guest's cart of that name would share its Idempotency-Keys."""

CartId = Annotated[
    str,
    StringConstraints(pattern=f"^{_CART_ID}$"),
    Field(examples=["user_123"], description="an account's id, or any name a guest's cart was given"),
]
Quantity = Annotated[int, Field(ge=1, le=LINE_QUANTITY_MAX, examples=[1])]


def is_cart_id(text: str) -> bool:
    """Whether a cart can have this id. One that cannot is answered like one that does not exist."""
    return re.fullmatch(_CART_ID, text) is not None and not text.startswith(_OF_SERVICES)


def _a_number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic reports ValueError only
    return value


IgnoredNumber = Annotated[Any, BeforeValidator(_a_number), WithJsonSchema({"type": "number"})]


class AddItemIn(CamelIn):
    """Units to put into a cart. `name` and `price` are accepted and ignored: the catalog's count."""

    product_id: ProductId = Field(examples=["prod-laptop-001"])
    sku: Sku = Field(examples=["LAPTOP-001"])
    quantity: Quantity
    name: Annotated[str, StringConstraints(max_length=500)] | None = None
    price: IgnoredNumber | None = None


class SetQuantityIn(CamelIn):
    """A line's new quantity; 0 removes it. `sku` is needed when several variants of the product are in the cart."""

    quantity: Annotated[int, Field(ge=0, le=LINE_QUANTITY_MAX, examples=[2])]
    sku: Sku | None = None


class MergeIn(CamelIn):
    """The guest cart whose lines come in."""

    cart_id: CartId


class CartItemOut(CamelOut):
    """A line at the price that is shown to the shopper."""

    product_id: str = Field(examples=["prod-laptop-001"])
    sku: str = Field(examples=["LAPTOP-001"])
    name: str = Field(examples=["Premium Ultrabook Pro 15"])
    unit_price: MoneyOut
    quantity: int
    line_total: MoneyOut


class CartProblemOut(CamelOut):
    """Why a line cannot be ordered as it stands.

    `price-changed`: it was shown at `was` and costs `now`. `insufficient-stock`: only `available` are left.
    `unavailable`: it is not for sale any more.
    """

    code: Literal["price-changed", "insufficient-stock", "unavailable"]
    sku: str
    was: MoneyOut | None = None
    now: MoneyOut | None = None
    available: int | None = None


class CartOut(CamelOut):
    """A cart. `item_count` counts units. `problems` of changes are those known to the cart; GET looks afresh."""

    id: str = Field(examples=["user_123"])
    items: list[CartItemOut]
    subtotal: MoneyOut
    currency: str = Field(examples=["USD"])
    item_count: int
    problems: list[CartProblemOut]
    version: int
    expires_at: str = Field(examples=["2026-03-02T12:00:00.250Z"])
