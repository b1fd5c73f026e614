"""A customer's way through the shop, and what the contract says about it beyond the demo."""

import json

import pytest

from tests.live_platform import LivePlatform
from tests.live_shop import PRICE, LiveShop, bearer, expect, new_cart, order_body, settles

pytestmark = [pytest.mark.ray, pytest.mark.postgres]


def test_the_demo_plays_to_its_end_and_the_audit_finds_nothing(platform: LivePlatform) -> None:
    done = platform.command("demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") > 25
    audited = platform.command("audit", "--json")
    assert audited.returncode == 0, audited.stdout + audited.stderr
    report = json.loads(audited.stdout)
    assert (report["clean"], report["breaches"], report["running"]) == (True, [], True)
    assert report["checked"].keys() >= {f"I{n}" for n in range(1, 14) if n != 10}
    assert all(report["checked"][name] > 0 for name in ("I1", "I4", "I5", "I8", "I9", "I12", "I13"))


async def test_from_registration_to_delivery(shop: LiveShop) -> None:
    sku = await shop.new_sku(10)
    session = await shop.register()
    customer, user_id = bearer(session), session["user"]["id"]
    product = (await shop.client.get("/products", params={"limit": "100"})).json()["data"]
    product_id = next(each["id"] for each in product if each["variants"][0]["sku"] == sku)
    line = {"productId": product_id, "sku": sku, "quantity": 2}
    cart = expect(await shop.client.post(f"/cart/{user_id}/items", json=line, headers=customer), 201)
    assert cart["subtotal"] == 2 * PRICE
    placed = await shop.client.post(
        "/orders",
        json={**order_body({}, user_id, "tok_ok"), "items": None, "expectedTotal": 2 * PRICE},
        headers=customer,
    )
    order = expect(placed, 201)
    assert (order["status"], order["total"]) == ("confirmed", 2 * PRICE)
    assert placed.headers["location"] == f"/api/v1/orders/{order['id']}"
    await settles(lambda: _cart(shop, user_id, customer), lambda found: found["items"] == [], 1)
    await settles(lambda: shop.stock(sku), lambda found: (found["onHand"], found["reserved"]) == (8, 0), 1)
    for action, status in (("ship", "shipped"), ("deliver", "delivered")):
        path = f"/orders/{order['id']}/{action}"
        assert (await shop.client.post(path, headers=customer)).status_code == 403
        assert expect(await shop.client.post(path, headers=shop.admin), 200)["status"] == status
    refused = await shop.client.post(f"/orders/{order['id']}/cancel", headers=customer)
    assert (refused.status_code, refused.json()["code"]) == (409, "illegal-transition")
    history = expect(await shop.client.get(f"/orders/{order['id']}/history", headers=customer), 200)
    types = [event["type"] for event in history["data"]]
    assert types == ["order.created", "order.confirmed", "order.shipped", "order.delivered"]
    listed = expect(await shop.client.get("/orders", params={"userId": user_id}, headers=customer), 200)
    assert [each["id"] for each in listed["data"]] == [order["id"]]


async def test_a_cancelled_order_is_refunded_and_its_stock_is_back(shop: LiveShop) -> None:
    sku = await shop.new_sku(3)
    order = expect(await shop.order({sku: 3}), 201)
    assert (await shop.order({sku: 1})).json()["code"] == "insufficient-stock"
    assert expect(await shop.cancel(order["id"]), 200)["status"] == "cancelled"
    payment = expect(await shop.client.get(f"/payments/{order['paymentId']}", headers=shop.admin), 200)
    assert (payment["status"], payment["captured"], payment["refunded"]) == ("refunded", 3 * PRICE, 3 * PRICE)
    level = await shop.stock(sku)
    assert (level["onHand"], level["reserved"], level["available"]) == (3, 0, 3)


@pytest.mark.parametrize(
    ("token", "status"),
    [("tok_declined", 402), ("tok_insufficient_funds", 402), ("tok_timeout_declines", 402), ("tok_error_once", 201)],
)
async def test_whatever_the_gateway_does_money_and_stock_agree(shop: LiveShop, token: str, status: int) -> None:
    sku = await shop.new_sku(5)
    expect(await shop.order({sku: 2}, token=token), status)
    sold = 2 if status == 201 else 0
    await settles(lambda: shop.stock(sku), lambda found: (found["onHand"], found["reserved"]) == (5 - sold, 0), 1)


async def test_a_charge_that_timed_out_and_took_place_is_found(shop: LiveShop) -> None:
    sku, cart = await shop.new_sku(5), new_cart()
    order = (await shop.order({sku: 2}, cart_id=cart, token="tok_timeout_succeeds")).json()

    async def ask() -> dict[str, object]:
        return expect(await shop.get_order(str(order["id"]), cart), 200)

    await settles(ask, lambda found: found["status"] == "confirmed", 15)
    await settles(lambda: shop.stock(sku), lambda found: (found["onHand"], found["reserved"]) == (3, 0), 1)


async def test_an_order_that_expects_another_total_is_refused(shop: LiveShop) -> None:
    sku = await shop.new_sku(5)
    body = order_body({sku: 1}, new_cart(), "tok_ok") | {"expectedTotal": 1.00}
    refused = await shop.client.post("/orders", json=body)
    assert (refused.status_code, refused.json()["code"], refused.json()["total"]) == (409, "price-changed", PRICE)
    assert (await shop.stock(sku))["available"] == 5


async def test_documentation_is_served(shop: LiveShop, platform: LivePlatform) -> None:
    openapi = expect(await shop.client.get(f"{platform.url}/openapi.json"), 200)
    assert openapi["openapi"].startswith("3.")
    assert {"/api/v1/orders", "/api/v1/auth/login", "/api/v1/cart/{user_id}/items"} <= openapi["paths"].keys()
    assert (await shop.client.get(f"{platform.url}/docs")).status_code == 200


async def _cart(shop: LiveShop, user_id: str, headers: dict[str, str]) -> dict[str, object]:
    return expect(await shop.client.get(f"/cart/{user_id}", headers=headers), 200)
