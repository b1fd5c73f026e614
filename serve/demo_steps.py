"""Steps of the tour that several of its parts take, and how their answers are shown."""

from collections.abc import Awaitable
from typing import Final

from serve.demo_tour import Json, Tour
from serve.sample_data import DEMO_ADMIN

UNITS: Final = 2
_ADDRESS: Final = {
    "name": "Demo Shopper",
    "line1": "1 Main Street",
    "city": "Springfield",
    "postalCode": "12345",
    "country": "US",
}


async def add_to_cart(tour: Tour, name: str, cart_id: str, headers: dict[str, str]) -> None:
    """Put some of what the tour has chosen into a cart."""
    body = {"productId": tour.product_id, "sku": tour.sku, "quantity": UNITS}
    await tour.step(
        name,
        "POST",
        f"/cart/{cart_id}/items",
        body=body,
        headers=headers,
        expect=201,
        shown=lambda found: (
            f"{found['itemCount']} x {found['items'][0]['name']}, {found['subtotal']} {found['currency']}"
        ),
    )


async def place(
    tour: Tour,
    name: str,
    *,
    method: str | None = None,
    items: list[Json] | None = None,
    user_id: str | None = None,
    headers: dict[str, str] | None = None,
    expect: int = 201,
) -> Json:
    """Place an order: of `items`, or of the whole cart; `user_id` names a guest's cart."""
    body: Json = {"userId": user_id or tour.user_id, "shippingAddress": _ADDRESS}
    if user_id is not None:
        body["email"] = "guest@example.com"
    if items is not None:
        body["items"] = items
    if method is not None:
        body["paymentMethod"] = {"type": "card", "token": method}
    sent = headers if user_id is not None else {**tour.customer, **(headers or {})}
    return await tour.step(
        name,
        "POST",
        "/orders",
        body=body,
        headers=sent,
        expect=expect,
        shown=show_order if expect == 201 else show_code,
    )


async def admin_of(tour: Tour) -> dict[str, str]:
    """Headers of the demo administrator, who logs in when first needed."""
    if not tour.admin:
        body = {"email": DEMO_ADMIN.email, "password": DEMO_ADMIN.password}
        session = await tour.step(
            "Log in as administrator",
            "POST",
            "/auth/login",
            body=body,
            expect=200,
            shown=lambda found: str(found["user"]["role"]),
        )
        tour.admin = {"Authorization": f"Bearer {session['token']}"}
    return tour.admin


def stock_of(tour: Tour, name: str) -> Awaitable[Json]:
    """How much of the chosen SKU there is."""
    return tour.step(name, "GET", f"/inventory/{tour.sku}", expect=200, shown=show_level)


def show_level(found: Json) -> str:
    """A stock level."""
    return f"{found['onHand']} on hand, {found['reserved']} reserved, {found['available']} available"


def show_order(found: Json) -> str:
    """An order."""
    return f"{found['id']} {found['status']}, {found['total']} {found['currency']}"


def show_payment(found: Json) -> str:
    """A payment."""
    return f"{found['status']}, captured {found['captured']}, refunded {found['refunded']} {found['currency']}"


def show_code(found: Json) -> str:
    """A problem, by its code."""
    return str(found["code"])
