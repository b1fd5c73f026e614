"""A tour of the platform as its clients see it: the reference's integration test flow, step by step, over HTTP.

It makes an account of its own each time, so it can be run again on the same platform, whatever happened there before.
"""

import asyncio
import secrets
from collections.abc import Awaitable
from typing import Final

import httpx
from rich.console import Console
from rich.markup import escape

from serve.demo_tour import Json, Mismatch, Tour
from serve.sample_data import DEMO_ADMIN

REQUEST_TIMEOUT_S: Final = 15.0
UNITS: Final = 2
STOCK_WANTED: Final = 10
_ADDRESS: Final = {
    "name": "Demo Shopper",
    "line1": "1 Main Street",
    "city": "Springfield",
    "postalCode": "12345",
    "country": "US",
}


def run(base_url: str) -> int:
    """Play the tour against a running platform and print it; 0 if every answer was the expected one, else 1."""
    return asyncio.run(_run(base_url, Console()))


async def _run(base_url: str, console: Console) -> int:
    async with httpx.AsyncClient(base_url=base_url, timeout=REQUEST_TIMEOUT_S) as client:
        return await play(client, console)


async def play(client: httpx.AsyncClient, console: Console) -> int:
    """As `run`, with a client of the caller's."""
    tour = Tour(client, console)
    try:
        for part in (shop_and_order, track_it, cancel_another, ship_and_deliver, order_as_a_guest, pay_later):
            await part(tour)
    except Mismatch as mismatch:
        console.print(f"[red]✗ {escape(str(mismatch))}[/red]", highlight=False)
        return 1
    except httpx.HTTPError as error:
        console.print(f"[red]✗ {escape(str(client.base_url))} does not answer: {escape(repr(error))}[/red]")
        return 1
    console.print("[green]Everything was answered as it should be.[/green]", highlight=False)
    return 0


async def shop_and_order(tour: Tour) -> None:
    """Register, log in, browse, fill the cart, order it."""
    email, password = f"demo-{secrets.token_hex(6)}@example.com", secrets.token_urlsafe(12)
    account = {"email": email, "password": password, "first_name": "Demo", "last_name": "Shopper"}
    await tour.step(
        "Register", "POST", "/auth/register", body=account, expect=201, shown=lambda found: str(found["user"]["email"])
    )
    credentials = {"email": email, "password": password}
    session = await tour.step(
        "Log in", "POST", "/auth/login", body=credentials, expect=200, shown=lambda found: str(found["token_type"])
    )
    tour.customer, tour.user_id = {"Authorization": f"Bearer {session['token']}"}, session["user"]["id"]
    products = await tour.step("Browse", "GET", "/products?limit=100", expect=200, shown=_products)
    await _choose(tour, products["data"])
    await _add(tour, "Add to cart", tour.user_id, tour.customer)
    before = await _stock(tour, "Stock before")
    tour.order = await _place(tour, "Order it, paid by card", method="tok_ok")
    tour.agree("Status of a paid order", "confirmed", tour.order["status"])
    after = await _stock(tour, "Stock after")
    tour.agree("Stock after", before["available"] - UNITS, after["available"])
    await tour.settles(
        "The sale is booked",
        f"/inventory/{tour.sku}",
        lambda found: bool(found["onHand"] == before["onHand"] - UNITS),
        _level,
    )
    await tour.settles(
        "The cart is empty again",
        f"/cart/{tour.user_id}",
        lambda found: not found["items"],
        lambda found: f"{found['itemCount']} units",
    )


async def track_it(tour: Tour) -> None:
    """Read the order, its list and its history."""
    path = f"/orders/{tour.order['id']}"
    found = await tour.step("Track the order", "GET", path, headers=tour.customer, expect=200, shown=_order)
    tour.agree("Total of the order", tour.order["total"], found["total"])
    listed = await tour.step(
        "List my orders",
        "GET",
        f"/orders?userId={tour.user_id}",
        headers=tour.customer,
        expect=200,
        shown=lambda found: f"{len(found['data'])} order",
    )
    tour.agree("First of my orders", tour.order["id"], listed["data"][0]["id"])
    history = await tour.step(
        "History",
        "GET",
        f"{path}/history",
        headers=tour.customer,
        expect=200,
        shown=lambda found: " → ".join(event["type"] for event in found["data"]),
    )
    types = [event["type"] for event in history["data"]]
    tour.agree("History", ["order.created", "order.confirmed"], types)


async def cancel_another(tour: Tour) -> None:
    """Order twice with one key, which is one order; cancel it."""
    before = await _stock(tour, "Stock before the next order")
    key = {"Idempotency-Key": secrets.token_hex(12)}
    items = [{"sku": tour.sku, "quantity": UNITS}]
    first = await _place(tour, "Order again", method="tok_ok", items=items, headers=key)
    again = await _place(tour, "The same request with the same key", method="tok_ok", items=items, headers=key)
    tour.agree("A repeated order", first["id"], again["id"])
    cancelled = await tour.step(
        "Cancel it",
        "POST",
        f"/orders/{first['id']}/cancel",
        body={"reason": "changed my mind"},
        headers=tour.customer,
        expect=200,
        shown=_order,
    )
    tour.agree("Status of a cancelled order", "cancelled", cancelled["status"])
    payment = await tour.step(
        "Its payment", "GET", f"/payments/{first['paymentId']}", headers=tour.customer, expect=200, shown=_payment
    )
    tour.agree("Payment of a cancelled order", "refunded", payment["status"])
    back = await _stock(tour, "Its stock is back")
    tour.agree("Stock after the cancel", before["available"], back["available"])


async def ship_and_deliver(tour: Tour) -> None:
    """What only an administrator may do."""
    path = f"/orders/{tour.order['id']}"
    await tour.step("Ship it as a customer", "POST", f"{path}/ship", headers=tour.customer, expect=403, shown=_code)
    admin = await _admin(tour)
    shipment = {"carrier": "Demo Express", "trackingNumber": "DX-1"}
    shipped = await tour.step("Ship it", "POST", f"{path}/ship", body=shipment, headers=admin, expect=200, shown=_order)
    tour.agree("Status of a shipped order", "shipped", shipped["status"])
    delivered = await tour.step("Deliver it", "POST", f"{path}/deliver", headers=admin, expect=200, shown=_order)
    tour.agree("Status of a delivered order", "delivered", delivered["status"])


async def order_as_a_guest(tour: Tour) -> None:
    """A guest's cart and order, known by the cart's id alone."""
    cart_id = f"guest_{secrets.token_hex(8)}"
    await _add(tour, "Add to a guest's cart", cart_id, {})
    order = await _place(tour, "Order as a guest", method="tok_ok", user_id=cart_id, headers={})
    path = f"/orders/{order['id']}"
    await tour.step("Read it without the cart's id", "GET", path, expect=404, shown=_code)
    await tour.step("Read it with X-Cart-Id", "GET", path, headers={"X-Cart-Id": cart_id}, expect=200, shown=_order)


async def pay_later(tour: Tour) -> None:
    """A card that is declined; an order that is paid later; a refund."""
    items = [{"sku": tour.sku, "quantity": 1}]
    await _place(tour, "Order with a card that is declined", method="tok_declined", items=items, expect=402)
    order = await _place(tour, "Order, and pay later", items=items)
    tour.agree("Status of an unpaid order", "pending", order["status"])
    body = {
        "orderId": order["id"],
        "amount": order["total"],
        "currency": order["currency"],
        "method": {"type": "card", "token": "tok_ok"},
    }
    payment = await tour.step(
        "Pay it", "POST", "/payments", body=body, headers=tour.customer, expect=201, shown=_payment
    )
    tour.agree("Status of the payment", "captured", payment["status"])
    admin = await _admin(tour)
    refunded = await tour.step(
        "Refund it", "POST", f"/payments/{payment['id']}/refund", headers=admin, expect=200, shown=_payment
    )
    tour.agree("Status of the refunded payment", "refunded", refunded["status"])


async def _choose(tour: Tour, products: list[Json]) -> None:
    """Something that can be bought; restocked by an administrator if earlier tours have sold it out."""
    if not products:
        raise Mismatch("Browse: the catalog is empty; start the platform with its sample data")
    product = products[0]
    variant = max(product["variants"], key=lambda found: int(found["available"]))
    tour.product_id, tour.sku = product["id"], variant["sku"]
    if variant["available"] < STOCK_WANTED:
        body = {"delta": STOCK_WANTED, "reason": "demo"}
        path = f"/inventory/{tour.sku}/adjust"
        await tour.step("Restock", "POST", path, body=body, headers=await _admin(tour), expect=200, shown=_level)


async def _add(tour: Tour, name: str, cart_id: str, headers: dict[str, str]) -> None:
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


async def _place(
    tour: Tour,
    name: str,
    *,
    method: str | None = None,
    items: list[Json] | None = None,
    user_id: str | None = None,
    headers: dict[str, str] | None = None,
    expect: int = 201,
) -> Json:
    body: Json = {"userId": user_id or tour.user_id, "shippingAddress": _ADDRESS}
    if user_id is not None:
        body["email"] = "guest@example.com"
    if items is not None:
        body["items"] = items
    if method is not None:
        body["paymentMethod"] = {"type": "card", "token": method}
    sent = headers if user_id is not None else {**tour.customer, **(headers or {})}
    return await tour.step(
        name, "POST", "/orders", body=body, headers=sent, expect=expect, shown=_order if expect == 201 else _code
    )


async def _admin(tour: Tour) -> dict[str, str]:
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


def _stock(tour: Tour, name: str) -> Awaitable[Json]:
    return tour.step(name, "GET", f"/inventory/{tour.sku}", expect=200, shown=_level)


def _products(found: Json) -> str:
    return f"{found['meta']['total']} products"


def _level(found: Json) -> str:
    return f"{found['onHand']} on hand, {found['reserved']} reserved, {found['available']} available"


def _order(found: Json) -> str:
    return f"{found['id']} {found['status']}, {found['total']} {found['currency']}"


def _payment(found: Json) -> str:
    return f"{found['status']}, captured {found['captured']}, refunded {found['refunded']} {found['currency']}"


def _code(found: Json) -> str:
    return str(found["code"])
