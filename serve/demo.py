"""A tour of the platform as its clients see it: the reference's integration test flow, step by step, over HTTP.

It makes an account of its own each time, so it can be run again on the same platform, whatever happened there before.
"""

import asyncio
import secrets
from typing import Final

import httpx
from rich.console import Console
from rich.markup import escape

from serve.demo_after_sale import cancel_another, read_the_mail, ship_and_deliver, track_it
from serve.demo_steps import (
    UNITS,
    add_to_cart,
    admin_of,
    place,
    show_code,
    show_level,
    show_order,
    show_payment,
    stock_of,
)
from serve.demo_tour import Json, Mismatch, Tour

REQUEST_TIMEOUT_S: Final = 15.0
STOCK_WANTED: Final = 10
TYPED_WRONG: Final = "keybord"
MEANT: Final = "keyboard"
SEARCH_WITHIN_S: Final = 10.0


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
        for part in (
            shop_and_order,
            track_it,
            read_the_mail,
            cancel_another,
            ship_and_deliver,
            order_as_a_guest,
            pay_later,
        ):
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
    await _search(tour, products["data"])
    await _choose(tour, products["data"])
    await add_to_cart(tour, "Add to cart", tour.user_id, tour.customer)
    before = await stock_of(tour, "Stock before")
    tour.order = await place(tour, "Order it, paid by card", method="tok_ok")
    tour.agree("Status of a paid order", "confirmed", tour.order["status"])
    after = await stock_of(tour, "Stock after")
    tour.agree("Stock after", before["available"] - UNITS, after["available"])
    await tour.settles(
        "The sale is booked",
        f"/inventory/{tour.sku}",
        lambda found: bool(found["onHand"] == before["onHand"] - UNITS),
        show_level,
    )
    await tour.settles(
        "The cart is empty again",
        f"/cart/{tour.user_id}",
        lambda found: not found["items"],
        lambda found: f"{found['itemCount']} units",
    )


async def order_as_a_guest(tour: Tour) -> None:
    """A guest's cart and order, known by the cart's id alone."""
    cart_id = f"guest_{secrets.token_hex(8)}"
    await add_to_cart(tour, "Add to a guest's cart", cart_id, {})
    order = await place(tour, "Order as a guest", method="tok_ok", user_id=cart_id, headers={})
    path = f"/orders/{order['id']}"
    await tour.step("Read it without the cart's id", "GET", path, expect=404, shown=show_code)
    await tour.step("Read it with X-Cart-Id", "GET", path, headers={"X-Cart-Id": cart_id}, expect=200, shown=show_order)


async def pay_later(tour: Tour) -> None:
    """A card that is declined; an order that is paid later; a refund."""
    items = [{"sku": tour.sku, "quantity": 1}]
    await place(tour, "Order with a card that is declined", method="tok_declined", items=items, expect=402)
    order = await place(tour, "Order, and pay later", items=items)
    tour.agree("Status of an unpaid order", "pending", order["status"])
    body = {
        "orderId": order["id"],
        "amount": order["total"],
        "currency": order["currency"],
        "method": {"type": "card", "token": "tok_ok"},
    }
    payment = await tour.step(
        "Pay it", "POST", "/payments", body=body, headers=tour.customer, expect=201, shown=show_payment
    )
    tour.agree("Status of the payment", "captured", payment["status"])
    admin = await admin_of(tour)
    refunded = await tour.step(
        "Refund it", "POST", f"/payments/{payment['id']}/refund", headers=admin, expect=200, shown=show_payment
    )
    tour.agree("Status of the refunded payment", "refunded", refunded["status"])


async def _search(tour: Tour, products: list[Json]) -> None:
    """Find what was meant, not what was typed; nothing to see in a catalog without it."""
    if not any(MEANT in product["name"].casefold() for product in products):
        return

    def first_is_meant(found: Json) -> bool:
        return bool(found["data"]) and MEANT in found["data"][0]["name"].casefold()

    await tour.settles(
        f"Search for {TYPED_WRONG}",
        f"/search?q={TYPED_WRONG}",
        first_is_meant,
        lambda found: f"{found['total']} found: " + ", ".join(product["name"] for product in found["data"][:3]),
        within_s=SEARCH_WITHIN_S,
    )


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
        await tour.step("Restock", "POST", path, body=body, headers=await admin_of(tour), expect=200, shown=show_level)


def _products(found: Json) -> str:
    return f"{found['meta']['total']} products"
