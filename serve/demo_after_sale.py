"""The tour after the order: what its customer is told and sees, and what an administrator does with it."""

import secrets
from typing import Final

from serve.demo_steps import UNITS, admin_of, place, show_code, show_order, show_payment, stock_of
from serve.demo_tour import Json, Tour

MAIL_WITHIN_S: Final = 10.0


async def track_it(tour: Tour) -> None:
    """Read the order, its list and its history."""
    path = f"/orders/{tour.order['id']}"
    found = await tour.step("Track the order", "GET", path, headers=tour.customer, expect=200, shown=show_order)
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
        shown=_types,
    )
    types = [event["type"] for event in history["data"]]
    tour.agree("History", ["order.created", "order.confirmed"], types)


async def read_the_mail(tour: Tour) -> None:
    """The mail that the order's customer got: one, and with the order in it."""
    admin = await admin_of(tour)
    arrived = await _mail(tour, "The mail about it has arrived", "order_confirmed")
    path = f"/admin/notifications/{arrived['id']}"
    mail = await tour.step("Read it", "GET", path, headers=admin, expect=200, shown=_first_lines)
    tour.agree(
        "The order's number in its mail", True, tour.order["id"] in mail["text"] and tour.order["id"] in mail["html"]
    )


async def cancel_another(tour: Tour) -> None:
    """Order twice with one key, which is one order; cancel it."""
    before = await stock_of(tour, "Stock before the next order")
    key = {"Idempotency-Key": secrets.token_hex(12)}
    items = [{"sku": tour.sku, "quantity": UNITS}]
    first = await place(tour, "Order again", method="tok_ok", items=items, headers=key)
    again = await place(tour, "The same request with the same key", method="tok_ok", items=items, headers=key)
    tour.agree("A repeated order", first["id"], again["id"])
    cancelled = await tour.step(
        "Cancel it",
        "POST",
        f"/orders/{first['id']}/cancel",
        body={"reason": "changed my mind"},
        headers=tour.customer,
        expect=200,
        shown=show_order,
    )
    tour.agree("Status of a cancelled order", "cancelled", cancelled["status"])
    payment = await tour.step(
        "Its payment", "GET", f"/payments/{first['paymentId']}", headers=tour.customer, expect=200, shown=show_payment
    )
    tour.agree("Payment of a cancelled order", "refunded", payment["status"])
    back = await stock_of(tour, "Its stock is back")
    tour.agree("Stock after the cancel", before["available"], back["available"])


async def ship_and_deliver(tour: Tour) -> None:
    """What only an administrator may do, and what its customer sees of it."""
    path = f"/orders/{tour.order['id']}"
    await tour.step("Ship it as a customer", "POST", f"{path}/ship", headers=tour.customer, expect=403, shown=show_code)
    admin = await admin_of(tour)
    shipment = {"carrier": "Demo Express", "trackingNumber": f"DX-{secrets.token_hex(4).upper()}"}
    shipped = await tour.step(
        "Ship it", "POST", f"{path}/ship", body=shipment, headers=admin, expect=200, shown=show_order
    )
    tour.agree("Status of a shipped order", "shipped", shipped["status"])
    delivered = await tour.step("Deliver it", "POST", f"{path}/deliver", headers=admin, expect=200, shown=show_order)
    tour.agree("Status of a delivered order", "delivered", delivered["status"])
    found = await tour.step("Track it as the customer", "GET", path, headers=tour.customer, expect=200, shown=_tracking)
    tour.agree("Carrier", shipment["carrier"], found["shipment"]["carrier"])
    tour.agree("Tracking number", shipment["trackingNumber"], found["shipment"]["trackingNumber"])
    history = await tour.step(
        "Its whole history", "GET", f"{path}/history", headers=tour.customer, expect=200, shown=_types
    )
    types = [event["type"] for event in history["data"]]
    tour.agree("History", ["order.created", "order.confirmed", "order.shipped", "order.delivered"], types)
    for what in ("order_shipped", "order_delivered"):
        await _mail(tour, f"The mail {what} has arrived", what)


async def _mail(tour: Tour, name: str, what: str) -> Json:
    """The one sent e-mail of this type about the order."""

    def mails(found: Json) -> list[Json]:
        return [mail for mail in found["data"] if (mail["type"], mail["channel"]) == (what, "email")]

    found = await tour.settles(
        name,
        f"/admin/notifications?orderId={tour.order['id']}",
        lambda found: any(mail["status"] == "sent" for mail in mails(found)),
        lambda found: f"to {mails(found)[0]['to']}: {mails(found)[0]['subject']}",
        headers=await admin_of(tour),
        within_s=MAIL_WITHIN_S,
    )
    tour.agree(name, 1, len(mails(found)))
    return mails(found)[0]


def _first_lines(found: Json) -> str:
    return " / ".join(line for line in found["text"].splitlines()[:5] if line)


def _tracking(found: Json) -> str:
    shipment = found["shipment"]
    return f"{found['status']}, {shipment['carrier']} {shipment['trackingNumber']}, delivered {shipment['deliveredAt']}"


def _types(found: Json) -> str:
    return " → ".join(event["type"] for event in found["data"])
