"""On the real platform customers hear of what happens to them: once, within ten seconds, and of nothing else."""

import asyncio
import secrets

import httpx
import pytest

from tests.live_platform import LivePlatform
from tests.live_shop import ADDRESS, Json, LiveShop, bearer, expect, new_cart, order_body, settles

pytestmark = [pytest.mark.ray, pytest.mark.postgres]

WITHIN_S = 10.0


async def messages(shop: LiveShop, order_id: str) -> list[Json]:
    """An order's messages, oldest first."""
    query = {"orderId": order_id, "limit": "100"}
    found = expect(await shop.client.get("/admin/notifications", params=query, headers=shop.admin), 200)
    return [*reversed(found["data"])]


async def told(shop: LiveShop, order_id: str, types: list[str], channel: str = "email") -> list[Json]:
    """Waits until exactly these were sent, and sees that no other follows."""

    async def ask() -> Json:
        return {"data": [row for row in await messages(shop, order_id) if row["channel"] == channel]}

    def holds(found: Json) -> bool:
        return [(row["type"], row["status"]) for row in found["data"]] == [(type_, "sent") for type_ in types]

    found = await settles(ask, holds, WITHIN_S)
    await asyncio.sleep(0.5)  # time in which a second one would come
    again = await ask()
    assert again == found
    return list(found["data"])


async def bought(shop: LiveShop, units: int = 1) -> Json:
    sku = await shop.new_sku(5)
    return expect(await shop.order({sku: units}), 201)


async def act(shop: LiveShop, path: str, body: Json | None = None) -> Json:
    return expect(await shop.client.post(path, json=body, headers=shop.admin), 200)


async def test_a_new_account_gets_a_welcome(shop: LiveShop) -> None:
    session = await shop.register()
    email = session["user"]["email"]

    async def ask() -> Json:
        return expect(await shop.client.get("/admin/notifications", params={"limit": "100"}, headers=shop.admin), 200)

    def mine(found: Json) -> list[Json]:
        return [row for row in found["data"] if row["to"] == email]

    (mail,) = mine(await settles(ask, lambda found: bool(mine(found)), WITHIN_S))
    assert (mail["type"], mail["status"], mail["orderId"]) == ("welcome", "sent", None)


async def test_an_order_is_told_step_by_step_and_once_each(shop: LiveShop) -> None:
    order = await bought(shop, 2)
    (mail,) = await told(shop, order["id"], ["order_confirmed"])
    assert mail["to"] == "guest@example.com"
    assert order["id"] in mail["subject"]
    shown = expect(await shop.client.get(f"/admin/notifications/{mail['id']}", headers=shop.admin), 200)
    for body in (shown["text"], shown["html"]):
        for part in (order["id"], "39.98 USD", ADDRESS["line1"], "Hello Ada Test,"):
            assert part in body
    shipment = {"carrier": "Blue Parcel", "trackingNumber": "BP-5501"}
    await act(shop, f"/orders/{order['id']}/ship", shipment)
    await act(shop, f"/orders/{order['id']}/deliver")
    mails = await told(shop, order["id"], ["order_confirmed", "order_shipped", "order_delivered"])
    shown = expect(await shop.client.get(f"/admin/notifications/{mails[1]['id']}", headers=shop.admin), 200)
    assert "BP-5501" in shown["text"]
    await act(shop, f"/payments/{order['paymentId']}/refund", {"amount": 5})
    await act(shop, f"/payments/{order['paymentId']}/refund", {})
    await told(
        shop,
        order["id"],
        ["order_confirmed", "order_shipped", "order_delivered", "order_refunded", "order_refunded"],
    )
    assert expect(await shop.get_order(order["id"], order["userId"]), 200)["status"] == "refunded"


async def test_a_cancelled_order_is_told(shop: LiveShop) -> None:
    order = await bought(shop)
    expect(await shop.cancel(order["id"]), 200)
    mails = await told(shop, order["id"], ["order_confirmed", "order_cancelled"])
    shown = expect(await shop.client.get(f"/admin/notifications/{mails[1]['id']}", headers=shop.admin), 200)
    assert "We have refunded 19.99 USD" in shown["text"]


async def test_an_order_that_waits_or_was_declined_is_not_told(shop: LiveShop) -> None:
    sku = await shop.new_sku(5)
    waiting = expect(await shop.order({sku: 1}, token=None), 201)
    declined = expect(await shop.order({sku: 1}, token="tok_declined"), 402)
    other = await bought(shop)
    await told(shop, other["id"], ["order_confirmed"])
    for order_id in (waiting["id"], declined["orderId"]):
        assert await messages(shop, order_id) == []
    expect(await shop.pay(waiting), 201)
    await told(shop, waiting["id"], ["order_confirmed"])


async def test_a_phone_gets_a_text_besides(shop: LiveShop) -> None:
    sku = await shop.new_sku(5)
    body = order_body({sku: 1}, new_cart(), "tok_ok")
    body["shippingAddress"] = {**ADDRESS, "phone": "+1 555 0100"}
    order = expect(await shop.client.post("/orders", json=body), 201)
    await told(shop, order["id"], ["order_confirmed"], "sms")
    await told(shop, order["id"], ["order_confirmed"])


async def test_many_orders_at_once_are_all_told_once(shop: LiveShop) -> None:
    sku = await shop.new_sku(60)
    orders = await asyncio.gather(*(shop.order({sku: 1}) for _ in range(60)))
    ids = [expect(answer, 201)["id"] for answer in orders]
    for order_id in ids:
        await settles(
            lambda order_id=order_id: _listed(shop, order_id),
            lambda found: len(found["data"]) == 1,
            WITHIN_S,  # type: ignore[misc]
        )
    assert [len(await messages(shop, order_id)) for order_id in ids] == [1] * 60


async def _listed(shop: LiveShop, order_id: str) -> Json:
    return {"data": await messages(shop, order_id)}


async def test_the_mailbox_shows_it_in_a_browser(shop: LiveShop, platform: LivePlatform) -> None:
    order = await bought(shop)
    (mail,) = await told(shop, order["id"], ["order_confirmed"])
    async with httpx.AsyncClient(base_url=platform.url, trust_env=False) as browser:
        box = await browser.get("/dev/mail")
        assert (box.status_code, box.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert mail["id"] in box.text
        assert order["id"] in (await browser.get(f"/dev/mail/{mail['id']}")).text
        html = await browser.get(f"/dev/mail/{mail['id']}/html")
        assert "sandbox" in html.headers["content-security-policy"]
        assert order["id"] in html.text


async def test_messages_are_nobody_else_s(shop: LiveShop) -> None:
    customer = bearer(await shop.register())
    for headers, status in ((customer, 403), ({}, 401)):
        answer = await shop.client.get("/admin/notifications", headers=headers)
        assert answer.status_code == status
    answer = await shop.client.get(f"/admin/notifications/ntf_{secrets.token_hex(12)}", headers=shop.admin)
    assert answer.status_code == 404
