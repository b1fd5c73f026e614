"""The reference's list of endpoints, ticked off by a test each: its status, and the shape of its answer."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from persistence.records import ProductQuery
from tests.contract_http.shapes import CART, ORDER, PAYMENT, PRODUCT, SESSION, STOCK, USER, body, page
from tests.shop_world import ADDRESS, CARD, LAPTOP, PRICE, Account, Shop, open_shop

# As the reference lists them, service by service.
LISTED = [
    "GET /api/v1/products",
    "GET /api/v1/products/:id",
    "GET /api/v1/search",
    "GET /api/v1/categories",
    "GET /api/v1/inventory/:sku",
    "POST /api/v1/inventory/:sku/reserve",
    "POST /api/v1/inventory/:sku/release",
    "GET /api/v1/cart/:userId",
    "POST /api/v1/cart/:userId/items",
    "PUT /api/v1/cart/:userId/items/:productId",
    "DELETE /api/v1/cart/:userId/items/:productId",
    "POST /api/v1/orders",
    "GET /api/v1/orders/:id",
    "GET /api/v1/orders",
    "POST /api/v1/orders/:id/cancel",
    "POST /api/v1/orders/:id/ship",
    "POST /api/v1/orders/:id/deliver",
    "POST /api/v1/payments",
    "GET /api/v1/payments/:id",
    "POST /api/v1/auth/register",
    "POST /api/v1/auth/login",
    "POST /api/v1/auth/validate",
    "GET /api/v1/users/profile",
    "PUT /api/v1/users/profile",
    "POST /api/v1/users/change-password",
    "GET /health",
]


def ticks(endpoint: str) -> pytest.MarkDecorator:
    """Marks the test of one endpoint of the list; `test_the_list_is_complete` counts them."""
    assert endpoint in LISTED
    TICKED.append(endpoint)
    return pytest.mark.usefixtures("shop")


TICKED: list[str] = []


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path) as opened:
        category = await opened.client.post("/api/v1/categories", json={"name": "Computers"}, headers=opened.admin)
        assert category.status_code == 201
        yield opened


@pytest.fixture
async def customer(shop: Shop) -> Account:
    return await shop.account()


def paid(account: Account) -> dict[str, Any]:
    lines = [{"sku": "LAPTOP-001", "quantity": 1}]
    return {"userId": account.id, "items": lines, "shippingAddress": ADDRESS, "paymentMethod": CARD}


# --- catalog service -------------------------------------------------------------------------------


@ticks("GET /api/v1/products")
async def test_list_products(shop: Shop) -> None:
    (product,) = page(await shop.client.get("/api/v1/products"), PRODUCT)
    assert (product["id"], product["price"], product["currency"]) == (LAPTOP["productId"], PRICE, "USD")
    assert {"sku", "options", "price", "available"} <= product["variants"][0].keys()


@ticks("GET /api/v1/products/:id")
async def test_get_product_details(shop: Shop) -> None:
    product = body(await shop.client.get("/api/v1/products/prod-laptop-001"), 200, PRODUCT)
    assert product["name"] == "Premium Ultrabook Pro 15"
    assert (await shop.client.get("/api/v1/products/prod-none")).status_code == 404


@ticks("GET /api/v1/search")
async def test_search_products(shop: Shop) -> None:
    products, _, _ = await shop.stores.catalog.products(ProductQuery())
    # The indexer's part: it is another process, and not in this world.
    await shop.stores.search.index(products)
    answer = await shop.client.get("/api/v1/search", params={"q": "ultrabok"})
    found = body(answer, 200, {"data", "facets", "total"})
    assert {"category", "brand", "price"} <= found["facets"].keys()
    assert (found["total"], [product["id"] for product in found["data"]]) == (1, ["prod-laptop-001"])
    assert found["data"][0].keys() >= PRODUCT


@ticks("GET /api/v1/categories")
async def test_list_categories(shop: Shop) -> None:
    (category,) = page(await shop.client.get("/api/v1/categories"), {"id", "name", "productCount"})
    assert (category["id"], category["productCount"]) == ("computers", 0)


# --- inventory service -----------------------------------------------------------------------------


@ticks("GET /api/v1/inventory/:sku")
async def test_get_stock_level(shop: Shop) -> None:
    stock = body(await shop.client.get("/api/v1/inventory/LAPTOP-001"), 200, STOCK)
    assert (stock["onHand"], stock["reserved"], stock["available"]) == (10, 0, 10)


async def reserve(shop: Shop) -> httpx.Response:
    wanted = {"quantity": 3, "orderId": "external-1"}
    return await shop.client.post("/api/v1/inventory/LAPTOP-001/reserve", json=wanted, headers=shop.service)


@ticks("POST /api/v1/inventory/:sku/reserve")
async def test_reserve_inventory(shop: Shop) -> None:
    reserved = body(await reserve(shop), 201, {"reservationId", "sku", "quantity", "expiresAt"})
    assert (reserved["sku"], reserved["quantity"]) == ("LAPTOP-001", 3)
    assert (await shop.stock())["available"] == 7


@ticks("POST /api/v1/inventory/:sku/release")
async def test_release_reservation(shop: Shop) -> None:
    reserved = (await reserve(shop)).json()
    released = await shop.client.post(
        "/api/v1/inventory/LAPTOP-001/release",
        json={"reservationId": reserved["reservationId"]},
        headers=shop.service,
    )
    assert body(released, 200, STOCK)["available"] == 10


# --- cart service ----------------------------------------------------------------------------------


@ticks("GET /api/v1/cart/:userId")
async def test_get_user_cart(shop: Shop) -> None:
    cart = body(await shop.client.get("/api/v1/cart/user_123"), 200, CART)
    assert (cart["id"], cart["items"], cart["itemCount"]) == ("user_123", [], 0)


@ticks("POST /api/v1/cart/:userId/items")
async def test_add_item(shop: Shop) -> None:
    cart = body(await shop.add("user_123", name="Premium Ultrabook Pro 15", price=PRICE), 201, CART)
    (line,) = cart["items"]
    assert {"productId", "sku", "name", "unitPrice", "quantity", "lineTotal"} <= line.keys()
    assert (line["quantity"], cart["subtotal"]) == (1, PRICE)


@ticks("PUT /api/v1/cart/:userId/items/:productId")
async def test_update_quantity(shop: Shop) -> None:
    await shop.add("user_123")
    changed = await shop.client.put("/api/v1/cart/user_123/items/prod-laptop-001", json={"quantity": 4})
    assert body(changed, 200, CART)["itemCount"] == 4


@ticks("DELETE /api/v1/cart/:userId/items/:productId")
async def test_remove_item(shop: Shop) -> None:
    await shop.add("user_123")
    removed = await shop.client.delete("/api/v1/cart/user_123/items/prod-laptop-001")
    assert body(removed, 200, CART)["items"] == []


# --- order service ---------------------------------------------------------------------------------


@ticks("POST /api/v1/orders")
async def test_create_order(shop: Shop, customer: Account) -> None:
    answer = await shop.client.post("/api/v1/orders", json=paid(customer), headers=customer.headers)
    order = body(answer, 201, ORDER)
    assert (order["status"], order["total"], order["userId"]) == ("confirmed", PRICE, customer.id)
    assert answer.headers["location"] == f"/api/v1/orders/{order['id']}"
    assert {"productId", "sku", "name", "quantity", "unitPrice", "lineTotal"} <= order["items"][0].keys()


@ticks("GET /api/v1/orders/:id")
async def test_get_order_details(shop: Shop, customer: Account) -> None:
    order = await shop.buy(customer)
    shown = await shop.client.get(f"/api/v1/orders/{order['id']}", headers=customer.headers)
    assert body(shown, 200, ORDER)["id"] == order["id"]


@ticks("GET /api/v1/orders")
async def test_get_user_orders(shop: Shop, customer: Account) -> None:
    orders = [await shop.buy(customer), await shop.buy(customer)]
    listed = await shop.client.get("/api/v1/orders", params={"userId": customer.id}, headers=customer.headers)
    assert [order["id"] for order in page(listed, ORDER)] == [order["id"] for order in reversed(orders)]


@ticks("POST /api/v1/orders/:id/cancel")
async def test_cancel_order(shop: Shop, customer: Account) -> None:
    order = await shop.buy(customer)
    cancelled = await shop.client.post(
        f"/api/v1/orders/{order['id']}/cancel", json={"reason": "too much"}, headers=customer.headers
    )
    assert body(cancelled, 200, ORDER)["status"] == "cancelled"
    assert (await shop.stock())["available"] == 10


@ticks("POST /api/v1/orders/:id/ship")
async def test_mark_as_shipped(shop: Shop, customer: Account) -> None:
    order = await shop.buy(customer)
    parcel = {"carrier": "DHL", "trackingNumber": "JD014600003"}
    shipped = await shop.client.post(f"/api/v1/orders/{order['id']}/ship", json=parcel, headers=shop.admin)
    found = body(shipped, 200, ORDER)
    assert (found["status"], found["shipment"]["carrier"]) == ("shipped", "DHL")


@ticks("POST /api/v1/orders/:id/deliver")
async def test_mark_as_delivered(shop: Shop, customer: Account) -> None:
    order = await shop.buy(customer)
    await shop.client.post(f"/api/v1/orders/{order['id']}/ship", headers=shop.admin)
    delivered = await shop.client.post(f"/api/v1/orders/{order['id']}/deliver", headers=shop.admin)
    assert body(delivered, 200, ORDER)["status"] == "delivered"


# --- payment service -------------------------------------------------------------------------------


@ticks("POST /api/v1/payments")
async def test_process_payment(shop: Shop, customer: Account) -> None:
    unpaid = {**paid(customer), "paymentMethod": None}
    order = (await shop.client.post("/api/v1/orders", json=unpaid, headers=customer.headers)).json()
    assert order["status"] == "pending"
    wanted = {"orderId": order["id"], "amount": PRICE, "currency": "USD", "method": CARD}
    payment = body(await shop.client.post("/api/v1/payments", json=wanted, headers=customer.headers), 201, PAYMENT)
    assert (payment["status"], payment["captured"], payment["orderId"]) == ("captured", PRICE, order["id"])


@ticks("GET /api/v1/payments/:id")
async def test_get_payment_status(shop: Shop, customer: Account) -> None:
    order = await shop.buy(customer)
    shown = await shop.client.get(f"/api/v1/payments/{order['paymentId']}", headers=customer.headers)
    assert body(shown, 200, PAYMENT)["status"] == "captured"


# --- user service ----------------------------------------------------------------------------------

SOMEBODY = {"email": "test@example.com", "password": "test1234", "first_name": "Test", "last_name": "User"}


@ticks("POST /api/v1/auth/register")
async def test_register_user(shop: Shop) -> None:
    session = body(await shop.client.post("/api/v1/auth/register", json=SOMEBODY), 201, SESSION)
    assert session["user"].keys() == USER
    assert (session["user"]["role"], session["token_type"]) == ("customer", "Bearer")


@ticks("POST /api/v1/auth/login")
async def test_login(shop: Shop) -> None:
    registered = (await shop.client.post("/api/v1/auth/register", json=SOMEBODY)).json()
    login = {"email": SOMEBODY["email"], "password": SOMEBODY["password"]}
    session = body(await shop.client.post("/api/v1/auth/login", json=login), 200, SESSION)
    assert session["user"] == registered["user"]


@ticks("POST /api/v1/auth/validate")
async def test_validate_token(shop: Shop, customer: Account) -> None:
    answer = await shop.client.post("/api/v1/auth/validate", headers=customer.headers)
    found = body(answer, 200, {"valid", "user_id", "email", "role", "expires_at"})
    assert (found["valid"], found["user_id"], found["role"]) == (True, customer.id, "customer")


@ticks("GET /api/v1/users/profile")
async def test_get_profile(shop: Shop, customer: Account) -> None:
    assert (await shop.client.get("/api/v1/users/profile")).status_code == 401
    profile = body(await shop.client.get("/api/v1/users/profile", headers=customer.headers), 200, USER)
    assert (profile["id"], profile["first_name"]) == (customer.id, "Ada")


@ticks("PUT /api/v1/users/profile")
async def test_update_profile(shop: Shop, customer: Account) -> None:
    names = {"first_name": "Augusta", "last_name": "King"}
    changed = await shop.client.put("/api/v1/users/profile", json=names, headers=customer.headers)
    assert body(changed, 200, USER)["first_name"] == "Augusta"


@ticks("POST /api/v1/users/change-password")
async def test_change_password(shop: Shop, customer: Account) -> None:
    words = {"current_password": "correct horse", "new_password": "battery staple"}
    body(await shop.client.post("/api/v1/users/change-password", json=words, headers=customer.headers), 200, SESSION)
    login = {"email": "ada@example.com", "password": "battery staple"}
    assert (await shop.client.post("/api/v1/auth/login", json=login)).status_code == 200


# --- every service ---------------------------------------------------------------------------------


@ticks("GET /health")
async def test_health(shop: Shop) -> None:
    health = body(await shop.client.get("/health"), 200, {"status", "service", "checks"})
    services = ["catalog", "inventory", "cart", "order", "payment", "user", "notification"]
    assert {name: health["checks"][name]["status"] for name in services} == dict.fromkeys(services, "healthy")


def test_the_list_is_complete() -> None:
    assert sorted(TICKED) == sorted(LISTED)
