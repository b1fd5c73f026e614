"""Whatever a client sends through the real ingress: a problem with the right status, and nothing has changed."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.live_platform import LivePlatform
from tests.live_shop import Json, LiveShop, bearer, expect, order_body

pytestmark = [pytest.mark.ray, pytest.mark.postgres]

CART = "guest_bad-input"
KNOWN_ORDER = "ord_" + "a" * 24
MEBIBYTE = 1_048_576
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Bad:
    """One request that must be refused with `status` (and `code`)."""

    name: str
    path: str
    content: Any
    status: int
    code: str
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON))
    admin: bool = False


def order(**changes: Any) -> str:
    body: Json = {**order_body({"LAPTOP-001": 1}, CART, "tok_ok"), **changes}
    return json.dumps({name: value for name, value in body.items() if value != "absent"})


def item(**changes: Any) -> str:
    return json.dumps({"productId": "prod-laptop-001", "sku": "LAPTOP-001", "quantity": 1, **changes})


def quantity(text: str) -> str:
    """An order whose quantity is this piece of JSON text."""
    return order().replace('"quantity": 1', f'"quantity": {text}')


ITEMS = f"/cart/{CART}/items"
ADJUST = "/inventory/LAPTOP-001/adjust"
PAY: Json = {"orderId": KNOWN_ORDER, "amount": 1.0, "currency": "USD", "method": {"type": "card", "token": "tok_ok"}}
HUGE = "9" * 400

MALFORMED = [
    Bad(name, "/orders", content, 400, "malformed-json")
    for name, content in {
        "cut off": order()[:-2], "no JSON": "hello", "two values": "{}{}", "NaN": quantity("NaN"),
        "Infinity": quantity("Infinity"), "minus infinity": quantity("-Infinity"), "not UTF-8": b'{"userId":"\xff"}',
        "single quotes": "{'userId': 1}", "a trailing comma": '{"userId": "a",}', "nested too deep": "[" * 100_000,
        "a repeated name": '{"userId": "a", "userId": "b"}'
    }.items()
]  # fmt: skip
FIELDS = [
    Bad(name, "/orders", content, 422, "invalid-fields")
    for name, content in {
        "an array": "[]", "a number": "1", "null": "null", "nothing": "{}", "quantity as text": quantity('"1"'),
        "quantity true": quantity("true"), "quantity 1.5": quantity("1.5"), "quantity 0": quantity("0"),
        "quantity negative": quantity("-1"), "quantity 1e400": quantity("1e400"), "quantity huge": quantity(HUGE),
        "quantity 2^63": quantity(str(2**63)), "quantity null": quantity("null"), "quantity list": quantity("[1]"),
        "no items": order(items=[]), "1,000 items": order(items=[{"sku": "LAPTOP-001", "quantity": 1}] * 1_000),
        "an unknown field": order(discount=1), "a price": order(items=[{"sku": "A", "quantity": 1, "price": 0}]),
        "a path as sku": order(items=[{"sku": "../x", "quantity": 1}]), "NUL": order(userId="a\0b"),
        "no address": order(shippingAddress="absent"), "an unknown country": order(shippingAddress={"country": "XX"}),
        "no e-mail": order(email="absent"), "no real e-mail": order(email="nobody"), "a lone surrogate": order(userId="\ud800"),
        "a total as text": order(expectedTotal="1"), "a total with three decimals": order(expectedTotal=1.001),
        "a negative total": order(expectedTotal=-1), "no token": order(paymentMethod={"type": "card"}),
    }.items()
]  # fmt: skip
OTHERS = [
    Bad("an unknown sku", "/orders", order(items=[{"sku": "NO-SUCH", "quantity": 1}]), 422, "unknown-sku"),
    Bad("another's account", "/orders", order(userId="usr_" + "0" * 32), 404, "not-found"),
    Bad("text", "/orders", order(), 415, "unsupported-media-type", headers={"Content-Type": "text/plain"}),
    Bad("no type", "/orders", order(), 415, "unsupported-media-type", headers={}),
    Bad("latin-1", "/orders", order(), 415, "unsupported-media-type",
        headers={"Content-Type": "application/json; charset=latin-1"}),
    Bad("a wrong token", "/orders", order(), 401, "invalid-token", headers=JSON | {"Authorization": "Bearer x.y.z"}),
    Bad("another scheme", "/orders", order(), 401, "invalid-token", headers=JSON | {"Authorization": "Basic eDp5"}),
    Bad("a bad key", "/orders", order(), 422, "invalid-idempotency-key", headers=JSON | {"Idempotency-Key": "a b"}),
    Bad("a long key", "/orders", order(), 422, "invalid-idempotency-key", headers=JSON | {"Idempotency-Key": "k" * 256}),
    Bad("an unknown method", "/orders", order(), 405, "method-not-allowed", method="PATCH"),
    Bad("an unknown path", "/nothing", "{}", 404, "not-found"),
    Bad("an unknown order", f"/orders/{KNOWN_ORDER}", None, 404, "not-found", method="GET"),
    Bad("an ill-formed order id", "/orders/%00", None, 404, "not-found", method="GET"),
    Bad("a long order id", "/orders/" + "a" * 4_000, None, 404, "not-found", method="GET"),
    Bad("an unknown product", "/products/nothing", None, 404, "not-found", method="GET"),
    Bad("an unknown stock", "/inventory/nothing", None, 404, "not-found", method="GET"),
    Bad("an unknown order to pay", "/payments", json.dumps(PAY), 404, "not-found"),
    Bad("an unknown order to ship", f"/orders/{KNOWN_ORDER}/ship", None, 404, "not-found", admin=True, headers={}),
    Bad("shipped by nobody", f"/orders/{KNOWN_ORDER}/ship", None, 401, "unauthenticated", headers={}),
    Bad("adjusted by nobody", ADJUST, '{"delta": 1, "reason": ""}', 401, "unauthenticated"),
    Bad("adjusted by 1e30", ADJUST, '{"delta": 1e30, "reason": ""}', 422, "invalid-fields", admin=True),
    Bad("adjusted below zero", ADJUST, '{"delta": -999999, "reason": ""}', 409, "below-reserved", admin=True),
    Bad("reserved for ever", "/inventory/LAPTOP-001/reserve", '{"quantity": 1, "orderId": "a", "ttlSeconds": 3601}',
        422, "invalid-fields", admin=True),
    Bad("nothing to release", "/inventory/LAPTOP-001/release", json.dumps({"reservationId": f"{KNOWN_ORDER}:LAPTOP-001"}),
        404, "reservation-not-found", admin=True),
    Bad("an unknown product in a cart", ITEMS, item(productId="no"), 404, "product-not-found"),
    Bad("another product's sku in a cart", ITEMS, item(sku="NO-SUCH"), 422, "unknown-sku"),
    Bad("a negative quantity in a cart", ITEMS, item(quantity=-1), 422, "invalid-fields"),
    Bad("a price as text in a cart", ITEMS, item(price="1299.99"), 422, "invalid-fields"),
    Bad("an ill-formed cart", "/cart/a%20b/items", item(), 404, "not-found"),
    Bad("another's cart", "/cart/usr_" + "0" * 32, None, 404, "not-found", method="GET"),
    Bad("an unknown parameter", "/products?colour=red", None, 422, "invalid-fields", method="GET"),
    Bad("a limit of a million", "/products?limit=1000000", None, 422, "invalid-fields", method="GET"),
    Bad("a cursor of somebody's own", "/products?cursor=abc", None, 422, "invalid-fields", method="GET"),
    Bad("an account without a password", "/auth/register", '{"email": "a@example.com"}', 422, "invalid-fields"),
    Bad("a short password", "/auth/register",
        '{"email": "a@example.com", "password": "1", "first_name": "A", "last_name": "B"}', 422, "invalid-fields"),
    Bad("an administrator by wish", "/auth/register",
        '{"email": "a@example.com", "password": "test1234", "first_name": "A", "last_name": "B", "role": "admin"}',
        422, "invalid-fields"),
    Bad("a wrong password", "/auth/login", '{"email": "customer@ecommerce.local", "password": "no"}',
        401, "invalid-credentials"),
    Bad("a body of 1 MiB and one byte", "/orders", b" " * MEBIBYTE + b"0", 413, "body-too-large"),
]  # fmt: skip
ALL = [*MALFORMED, *FIELDS, *OTHERS]


@pytest.fixture
async def unchanged(platform: LivePlatform, shop: LiveShop) -> AsyncIterator[None]:
    """What there was before the test is there after it, and nothing else."""

    async def everything() -> list[Any]:
        async with platform.database() as connection:
            counted = [
                await connection.fetchval(f"SELECT count(*) FROM {table}")
                for table in ("orders.journal", "payments.journal", "gateway.ledger", "users.users", "catalog.products")
            ]
            laptop = await connection.fetchval(
                "SELECT count(*) FROM inventory.journal WHERE entity_id IN ('LAPTOP-001', 'NO-SUCH')"
            )
            cart = await connection.fetchval("SELECT version FROM carts.carts WHERE id = $1", CART)
        return [*counted, laptop, cart]

    before = await everything()
    yield
    assert await everything() == before


@pytest.mark.usefixtures("unchanged")
async def test_every_bad_request_is_a_problem_and_changes_nothing(shop: LiveShop) -> None:
    wrong = []
    for bad in ALL:
        headers = bad.headers | (shop.admin if bad.admin else {})
        answer = await shop.client.request(bad.method, bad.path, content=bad.content, headers=headers)
        wrong += [f"{bad.name}: {fault}" for fault in _faults(answer, bad.status, bad.code)]
    assert wrong == [], "\n".join(wrong)


@pytest.mark.usefixtures("unchanged")
async def test_a_body_over_1_mib_is_refused_also_when_its_length_is_not_told(shop: LiveShop) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(33):
            yield b" " * (MEBIBYTE // 32)

    async def sent() -> AsyncIterator[bytes]:
        for chunk in chunks():
            yield chunk

    answer = await shop.client.post("/orders", content=sent(), headers=JSON)
    assert "content-length" not in answer.request.headers
    assert _faults(answer, 413, "body-too-large") == []


@pytest.mark.usefixtures("unchanged")
async def test_a_body_of_exactly_1_mib_is_read(shop: LiveShop) -> None:
    body = order(discount=1).encode()
    answer = await shop.client.post("/orders", content=body.ljust(MEBIBYTE), headers=JSON)
    assert _faults(answer, 422, "invalid-fields") == []


async def test_a_customer_sees_nothing_of_another(shop: LiveShop) -> None:
    mine, theirs = await shop.register(), await shop.register()
    sku = await shop.new_sku(5)
    body = order_body({sku: 1}, theirs["user"]["id"], "tok_ok")
    placed = expect(await shop.client.post("/orders", json=body, headers=bearer(theirs)), 201)
    asked: list[Callable[[dict[str, str]], Any]] = [
        lambda headers: shop.client.get(f"/orders/{placed['id']}", headers=headers),
        lambda headers: shop.client.get(f"/orders/{placed['id']}/history", headers=headers),
        lambda headers: shop.client.post(f"/orders/{placed['id']}/cancel", headers=headers),
        lambda headers: shop.client.get(f"/payments/{placed['paymentId']}", headers=headers),
        lambda headers: shop.client.get(f"/cart/{theirs['user']['id']}", headers=headers),
        lambda headers: shop.client.get("/orders", params={"userId": theirs["user"]["id"]}, headers=headers),
    ]
    for ask in asked:
        answer = await ask(bearer(mine))
        assert _faults(answer, 404, "not-found") == [], str(answer.request.url)
    assert expect(await asked[0](bearer(theirs)), 200)["status"] == "confirmed"


def _faults(answer: httpx.Response, status: int, code: str) -> list[str]:
    """What is wrong about an answer that should be this problem."""
    if answer.status_code != status:
        return [f"{answer.status_code}, not {status}: {answer.text[:200]}"]
    if answer.headers["content-type"].partition(";")[0] != "application/problem+json":
        return [f"is {answer.headers['content-type']}"]
    problem = answer.json()
    if (problem["status"], problem["code"]) != (status, code):
        return [f"{problem['status']} {problem['code']}, not {code}"]
    missing = {"type", "title", "status", "detail", "instance", "code"} - problem.keys()
    return [f"has no {sorted(missing)}"] if missing else []
