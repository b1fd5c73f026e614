"""Many clients at the same moment."""

import asyncio
from collections import Counter

import pytest

from tests.live_shop import PRICE, LiveShop, bearer, expect, new_cart, settles

pytestmark = [pytest.mark.ray, pytest.mark.postgres]


async def test_of_200_buyers_of_one_unit_one_gets_it(shop: LiveShop) -> None:
    sku = await shop.new_sku(1)
    answers = await asyncio.gather(*(shop.order({sku: 1}) for _ in range(200)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 199}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"insufficient-stock"}
    await settles(lambda: shop.stock(sku), lambda found: (found["onHand"], found["reserved"]) == (0, 0), 1)


async def test_one_key_five_times_at_once_is_one_order_with_equal_answers(shop: LiveShop) -> None:
    sku, cart = await shop.new_sku(10), new_cart()
    answers = await asyncio.gather(*(shop.order({sku: 1}, cart_id=cart, key="five-at-once") for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len({answer.headers["etag"] for answer in answers}) == 1
    again = await shop.order({sku: 1}, cart_id=cart, key="five-at-once")
    assert (again.status_code, again.content) == (201, answers[0].content)
    assert again.headers["idempotent-replayed"] == "true"
    other = await shop.order({sku: 2}, cart_id=cart, key="five-at-once")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    await settles(lambda: shop.stock(sku), lambda found: (found["onHand"], found["reserved"]) == (9, 0), 1)


async def test_one_order_paid_by_ten_at_once_is_charged_once(shop: LiveShop) -> None:
    sku = await shop.new_sku(5)
    order = expect(await shop.order({sku: 1}, token=None), 201)
    answers = await asyncio.gather(*(shop.pay(order) for _ in range(10)))
    assert [answer.status_code for answer in answers].count(201) >= 1
    assert {answer.json()["code"] for answer in answers if answer.status_code != 201} <= {
        "already-paid",
        "payment-in-progress",
    }
    (payment_id,) = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    payment = expect(await shop.client.get(f"/payments/{payment_id}", headers=shop.admin), 200)
    assert (payment["status"], payment["captured"]) == ("captured", PRICE)


async def test_one_cart_ordered_by_ten_at_once_is_one_order(shop: LiveShop) -> None:
    sku = await shop.new_sku(100)
    session = await shop.register()
    customer, user_id = bearer(session), session["user"]["id"]
    products = expect(await shop.client.get("/products", params={"limit": "100", "sort": "newest"}), 200)["data"]
    product_id = next(each["id"] for each in products if each["variants"][0]["sku"] == sku)
    line = {"productId": product_id, "sku": sku, "quantity": 3}
    expect(await shop.client.post(f"/cart/{user_id}/items", json=line, headers=customer), 201)
    body = {
        "userId": user_id,
        "shippingAddress": {
            "name": "Ada",
            "line1": "1 Main Street",
            "city": "Town",
            "postalCode": "12345",
            "country": "US",
        },
        "paymentMethod": {"type": "card", "token": "tok_ok"},
    }
    answers = await asyncio.gather(*(shop.client.post("/orders", json=body, headers=customer) for _ in range(10)))
    assert [answer.status_code for answer in answers].count(201) == 1
    refusals = {answer.json()["code"] for answer in answers if answer.status_code != 201}
    assert refusals <= {"cart-checked-out", "empty-cart"}
    await settles(lambda: shop.stock(sku), lambda found: (found["onHand"], found["reserved"]) == (97, 0), 1)


async def test_a_cart_changed_by_many_at_once_holds_every_change(shop: LiveShop) -> None:
    sku, cart = await shop.new_sku(1_000), new_cart()
    products = expect(await shop.client.get("/products", params={"limit": "100", "sort": "newest"}), 200)["data"]
    product_id = next(each["id"] for each in products if each["variants"][0]["sku"] == sku)
    line = {"productId": product_id, "sku": sku, "quantity": 1}
    answers = await asyncio.gather(*(shop.client.post(f"/cart/{cart}/items", json=line) for _ in range(30)))
    assert {answer.status_code for answer in answers} == {201}
    assert expect(await shop.client.get(f"/cart/{cart}"), 200)["itemCount"] == 30
    stale = await shop.client.put(
        f"/cart/{cart}/items/{product_id}", json={"quantity": 1}, headers={"If-Match": answers[0].headers["etag"]}
    )
    fresh = max(answer.json()["version"] for answer in answers)
    assert stale.status_code == (200 if answers[0].json()["version"] == fresh else 412)
