"""Carts over HTTP, on the real entities."""

from typing import Any

import httpx
import pytest

from cluster.errors import OutcomeUnknown
from tests.http_app import PASSWORD
from tests.shop_world import CARD, LAPTOP, PRICE, Shop, eventually

CART = "/api/v1/cart/user_123"
BIG = {"productId": "prod-laptop-001", "sku": "LAPTOP-001-32"}


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


async def test_a_new_cart_is_empty(shop: Shop) -> None:
    answer = await shop.client.get(CART)
    cart = answer.json()
    assert (answer.status_code, answer.headers["etag"]) == (200, '"0"')
    assert (cart["id"], cart["items"], cart["itemCount"], cart["problems"]) == ("user_123", [], 0, [])
    assert (cart["currency"], cart["version"]) == ("USD", 0)
    assert '"subtotal":0.00' in answer.text
    assert cart["expiresAt"].endswith("Z")


async def test_the_reference_command_works_as_written(shop: Shop) -> None:
    body = {**LAPTOP, "name": "Premium Ultrabook Pro 15", "price": 1299.99, "quantity": 1}
    answer = await shop.client.post(f"{CART}/items", json=body)
    assert answer.status_code == 201
    line = {**LAPTOP, "name": "Premium Ultrabook Pro 15", "unitPrice": PRICE, "quantity": 1, "lineTotal": PRICE}
    assert answer.json()["items"] == [line]
    assert (await shop.client.get(CART)).json()["items"] == [line]


async def test_units_of_one_sku_add_up(shop: Shop) -> None:
    await shop.add("user_123", quantity=2)
    cart = (await shop.add("user_123", quantity=3)).json()
    assert (cart["itemCount"], cart["items"][0]["quantity"]) == (5, 5)
    assert cart["subtotal"] == 6499.95


@pytest.mark.parametrize("price", [0.01, -1, 10**15, 0, None])
async def test_a_price_in_the_request_never_counts(shop: Shop, price: Any) -> None:
    answer = await shop.add("user_123", price=price, name="Nearly free")
    assert answer.status_code == 201
    assert answer.json()["subtotal"] == PRICE
    assert answer.json()["items"][0]["name"] == "Premium Ultrabook Pro 15"


@pytest.mark.parametrize(
    ("price", "status"), [("NaN", 400), ("Infinity", 400), ("1e309", 422), ('"1"', 422), ("true", 422), ("[1]", 422)]
)
async def test_a_price_that_is_no_number_is_refused(shop: Shop, price: str, status: int) -> None:
    body = f'{{"productId":"prod-laptop-001","sku":"LAPTOP-001","quantity":1,"price":{price}}}'
    answer = await shop.client.post(f"{CART}/items", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status


@pytest.mark.parametrize("quantity", [0, -1, 2**31, 10_001, 1.5, "1", True, None, {"$gt": 0}])
async def test_impossible_quantities_are_422(shop: Shop, quantity: Any) -> None:
    assert problem(await shop.add("user_123", quantity=quantity)) == (422, "invalid-fields")


async def test_what_the_catalog_does_not_have_cannot_be_added(shop: Shop) -> None:
    assert problem(await shop.add("user_123", productId="prod-none", sku="NONE")) == (404, "product-not-found")
    assert problem(await shop.add("user_123", sku="NONE")) == (422, "unknown-sku")
    assert problem(await shop.add("user_123", productId="prod-other")) == (404, "product-not-found")


async def test_more_than_there_is_cannot_be_added(shop: Shop) -> None:
    refused = await shop.add("user_123", quantity=11)
    assert problem(refused) == (409, "insufficient-stock")
    assert (refused.json()["available"], refused.json()["sku"]) == (10, "LAPTOP-001")
    assert problem(await shop.add("user_123", sku="LAPTOP-001-64")) == (409, "insufficient-stock")


async def test_a_quantity_is_set_and_zero_removes(shop: Shop) -> None:
    await shop.add("user_123")
    path = f"{CART}/items/prod-laptop-001"
    assert (await shop.client.put(path, json={"quantity": 4})).json()["itemCount"] == 4
    assert problem(await shop.client.put(path, json={"quantity": 11})) == (409, "insufficient-stock")
    assert (await shop.client.put(path, json={"quantity": 0})).json()["items"] == []
    assert problem(await shop.client.put(path, json={"quantity": 1})) == (404, "item-not-found")


async def test_two_variants_must_be_told_apart(shop: Shop) -> None:
    await shop.add("user_123")
    await shop.add("user_123", **BIG)
    path = f"{CART}/items/prod-laptop-001"
    assert problem(await shop.client.put(path, json={"quantity": 2})) == (422, "ambiguous-sku")
    assert problem(await shop.client.delete(path)) == (422, "ambiguous-sku")
    cart = (await shop.client.put(path, json={"quantity": 2, "sku": BIG["sku"]})).json()
    assert [line["quantity"] for line in cart["items"]] == [1, 2]
    cart = (await shop.client.delete(path, params={"sku": "LAPTOP-001"})).json()
    assert [line["sku"] for line in cart["items"]] == [BIG["sku"]]


async def test_a_cart_is_cleared(shop: Shop) -> None:
    await shop.add("user_123")
    answer = await shop.client.delete(CART)
    assert (answer.status_code, answer.json()["items"]) == (200, [])


async def test_a_stale_version_is_412(shop: Shop) -> None:
    etag = (await shop.add("user_123")).headers["etag"]
    path = f"{CART}/items/prod-laptop-001"
    assert (await shop.client.put(path, json={"quantity": 2}, headers={"If-Match": etag})).status_code == 200
    for answer in (
        await shop.client.put(path, json={"quantity": 3}, headers={"If-Match": etag}),
        await shop.client.delete(path, headers={"If-Match": f'W/"2", {etag}'}),
        await shop.client.delete(CART, headers={"If-Match": etag}),
        await shop.add("user_123", {"If-Match": '"99", "98"'}),
    ):
        assert problem(answer) == (412, "version-mismatch")
    assert (await shop.client.get(CART)).json()["itemCount"] == 2
    assert (await shop.client.delete(CART, headers={"If-Match": '"2", "7"'})).status_code == 200


async def test_get_tells_what_cannot_be_ordered(shop: Shop) -> None:
    await shop.add("user_123", quantity=5)
    await shop.reprice(1199.99)
    adjust = {"delta": -7, "reason": "water damage"}
    await shop.client.post("/api/v1/inventory/LAPTOP-001/adjust", json=adjust, headers=shop.admin)
    assert (await shop.client.get(CART)).json()["problems"] == [
        {"code": "price-changed", "sku": "LAPTOP-001", "was": PRICE, "now": 1199.99},
        {"code": "insufficient-stock", "sku": "LAPTOP-001", "available": 3},
    ]
    await shop.client.delete("/api/v1/products/prod-laptop-001", headers=shop.admin)
    assert (await shop.client.get(CART)).json()["problems"] == [{"code": "unavailable", "sku": "LAPTOP-001"}]


async def test_a_guest_cart_is_merged_into_an_accounts(shop: Shop) -> None:
    account = await shop.account()
    await shop.add(account.id, account.headers)
    await shop.add("user_123", quantity=2)
    path = f"/api/v1/cart/{account.id}/merge"
    answer = await shop.client.post(path, json={"cartId": "user_123"}, headers=account.headers)
    assert (answer.status_code, answer.json()["itemCount"]) == (200, 3)
    assert (await shop.client.get(CART)).json()["items"] == []
    again = await shop.client.post(path, json={"cartId": "user_123"}, headers=account.headers)
    assert again.json()["itemCount"] == 3
    assert problem(await shop.client.post(path, json={"cartId": account.id}, headers=account.headers)) == (
        422,
        "invalid-fields",
    )


async def test_two_merges_in_a_row_lose_nothing(shop: Shop) -> None:
    account = await shop.account()
    for _ in range(2):
        await shop.add("user_123", quantity=2)
        login = {"email": "ada@example.com", "password": PASSWORD, "cart_id": "user_123"}
        assert (await shop.client.post("/api/v1/auth/login", json=login)).status_code == 200
    cart = (await shop.client.get(f"/api/v1/cart/{account.id}", headers=account.headers)).json()
    assert cart["itemCount"] == 4
    assert (await shop.client.get(CART)).json()["items"] == []


async def test_a_repeated_merge_adds_nothing_and_finishes_the_first(shop: Shop) -> None:
    account = await shop.account()
    await shop.add("user_123", quantity=2)
    path, headers = f"/api/v1/cart/{account.id}/merge", {**account.headers, "Idempotency-Key": "k"}
    first = await shop.client.post(path, json={"cartId": "user_123"}, headers=headers)
    again = await shop.client.post(path, json={"cartId": "user_123"}, headers=headers)
    assert first.content == again.content
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_merge_that_died_before_the_source_was_cleared_is_finished_by_its_repeat(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await shop.account()
    await shop.add("user_123", quantity=2)
    path, headers = f"/api/v1/cart/{account.id}/merge", {**account.headers, "Idempotency-Key": "k"}

    async def die(*_args: object) -> None:
        raise OutcomeUnknown

    with monkeypatch.context() as patched:
        patched.setattr("serve.shop.cart_merge.clear_source", die)
        lost = await shop.client.post(path, json={"cartId": "user_123"}, headers=headers)
    assert lost.status_code == 503
    again = await shop.client.post(path, json={"cartId": "user_123"}, headers=headers)
    assert (again.status_code, again.json()["itemCount"]) == (200, 2)
    assert await is_empty(shop)


@pytest.mark.parametrize("cart", ["a b", "x" * 129, "svc_test", "ü", "a%0A"])
async def test_an_impossible_cart_id_is_404(shop: Shop, cart: str) -> None:
    assert problem(await shop.client.get(f"/api/v1/cart/{cart}")) == (404, "not-found")


async def test_what_was_ordered_leaves_the_cart(shop: Shop) -> None:
    await shop.add("user_123")
    placed = await shop.place("user_123", paymentMethod=CARD)
    assert placed.status_code == 201
    await eventually(lambda: is_empty(shop))


async def is_empty(shop: Shop) -> bool:
    return not (await shop.client.get(CART)).json()["items"]
