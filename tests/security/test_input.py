"""Input that wants to cost more, buy cheaper or mean more than it says: on every route that takes any."""

from decimal import Decimal
from functools import cache
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from persistence.stores import open_memory_stores
from serve.app import ROUTERS, build_app
from serve.auth.principal import Role
from serve.errors import Problem
from serve.route import GuardedRoute
from serve.strict_json import SEPARATORS_MAX, parse_strict
from tests.http_app import FakeClock, FakeRefs, World, settings_for_tests
from tests.security.access_matrix import ENTRIES, Caller
from tests.security.things import question
from tests.shop_world import CARD, PRICE, Shop

JSON = {"Content-Type": "application/json"}
ROUTES = {
    (method, route.path): route
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, GuardedRoute)
    for method in route.methods or ()
}
READS_ANYTHING = {("POST", "/api/v1/payments/webhook")}
"""It believes a signature over the bytes, and nothing in them."""
TAKES_BODY = [key for key, entry in ENTRIES.items() if isinstance(entry.body, dict) and key not in READS_ANYTHING]
OURS = ["role", "id", "status", "total", "user_id", "version", "captured", "isAdmin", "createdAt", "__proto__"]


def caller_of(key: tuple[str, str]) -> Caller:
    """Somebody who may call the route."""
    access = ROUTES[key].access
    return "owner" if access.public or Role.CUSTOMER in access.roles else "admin"


def name_of(key: object) -> str:
    return " ".join(key) if isinstance(key, tuple) else str(key)


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document: the same for every test, and slow to make."""
    with TemporaryDirectory() as folder:
        clock = FakeClock()
        settings = settings_for_tests(Path(folder))
        return build_app(FakeRefs(), open_memory_stores(clock.now_ms), settings, clock).openapi()


def fields_of(key: tuple[str, str]) -> set[str]:
    """The names that the document has for the route's body."""
    schema = document()["paths"][key[1]][key[0].lower()]["requestBody"]["content"]["application/json"]["schema"]
    schema = schema.get("anyOf", [schema])[0]
    return set(document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"])


@pytest.mark.parametrize("key", TAKES_BODY, ids=name_of)
async def test_fields_that_are_ours_are_refused_by_name(shop: Shop, key: tuple[str, str]) -> None:
    asked = await question(shop, caller_of(key))
    body = await asked.things.fill(ENTRIES[key].body)
    path = await asked.things.fill(key[1])
    for field in sorted(set(OURS) - fields_of(key)):
        answer = await shop.client.request(key[0], path, json={**body, field: "admin"}, headers=asked.headers)
        assert answer.status_code == 422, (field, answer.text)
        assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{field}"]


@pytest.mark.parametrize("key", [key for key in ROUTES if key in ENTRIES], ids=name_of)
async def test_operators_in_the_query_are_refused(shop: Shop, key: tuple[str, str]) -> None:
    asked = await question(shop, caller_of(key))
    path = await asked.things.fill(key[1])
    for query in ("sku[$gt]=", "$where=1", "x=1", "limit[$ne]=1"):
        answer = await shop.client.request(key[0], f"{path}?{query}", json={}, headers=asked.headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-fields"), query


@pytest.mark.parametrize("key", TAKES_BODY, ids=name_of)
async def test_operators_in_place_of_values_are_refused(shop: Shop, key: tuple[str, str]) -> None:
    asked = await question(shop, caller_of(key))
    body = await asked.things.fill(ENTRIES[key].body)
    path = await asked.things.fill(key[1])
    fields = [name for name, given in body.items() if isinstance(given, str | int | float)]
    for field, value in product(fields, ({"$ne": None}, {"$gt": ""}, [{"$gt": ""}])):
        changed = {**body, field: value}
        answer = await shop.client.request(key[0], path, json=changed, headers=asked.headers)
        assert answer.status_code == 422, (field, answer.text)


HEAVY = {
    "nested lists": b"[" * 100_000 + b"]" * 100_000,
    "nested objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deeper than the limit": b"[" * 40 + b"]" * 40,
    "an integer of 10^5 digits": b'{"email":' + b"9" * 100_000 + b"}",
    "a fraction of 10^6 digits": b'{"email":0.' + b"1" * 1_000_000 + b"}",
    "an exponent beyond everything": b'{"email":1e999999999999999999999}',
    "350,000 lists": b"[" + b"[]," * 340_000 + b"[]]",
    "500,000 numbers": b'{"email":[' + b"1," * 500_000 + b"1]}",
    "90,000 names": b"{" + b",".join(b'"%d":1' % number for number in range(90_000)) + b"}",
    "a name twice": b'{"email":"a@example.com","password":"x","password":"y"}',
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("body", HEAVY.values(), ids=HEAVY)
async def test_a_heavy_body_is_refused(world: World, body: bytes) -> None:
    answer = await world.client.post("/api/v1/auth/login", content=body, headers=JSON)
    assert answer.status_code in {400, 422}, answer.text[:200]
    assert len(answer.content) < 2_000


def test_as_many_values_as_the_limit_are_read() -> None:
    assert parse_strict(b"[" + b"1," * (SEPARATORS_MAX - 1) + b"1]") == [1] * SEPARATORS_MAX
    with pytest.raises(Problem):
        parse_strict(b"[" + b"1," * SEPARATORS_MAX + b"1]")


@pytest.mark.parametrize("price", ["0.01", "-1", "0", "1e309", "1e999999999999999999999"])
async def test_a_price_in_a_cart_item_never_changes_what_is_charged(shop: Shop, price: str) -> None:
    account = await shop.account()
    body = f'{{"productId":"prod-laptop-001","sku":"LAPTOP-001","quantity":1,"price":{price}}}'
    path = f"/api/v1/cart/{account.id}/items"
    added = await shop.client.post(path, content=body, headers={**account.headers, **JSON})
    if added.status_code == 422:
        assert [error["pointer"] for error in added.json()["errors"]] == ["/price"]
        return
    assert added.status_code == 201
    order = (await shop.place(account.id, account.headers, paymentMethod=CARD)).json()
    assert order["total"] == PRICE
    payment = await shop.client.get(f"/api/v1/payments/{order['paymentId']}", headers=account.headers)
    assert payment.json()["captured"] == PRICE


@pytest.mark.parametrize("price", ["NaN", "Infinity", "-Infinity"])
async def test_a_price_that_is_no_number_is_malformed(shop: Shop, price: str) -> None:
    body = f'{{"productId":"prod-laptop-001","sku":"LAPTOP-001","quantity":1,"price":{price}}}'
    answer = await shop.client.post("/api/v1/cart/user_1/items", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-json")


NO_QUANTITY = [0, -1, 2**31, 2**63, 10**17, 1.5, "1", True, None, [1]]


@pytest.mark.parametrize("quantity", NO_QUANTITY, ids=str)
async def test_a_quantity_that_is_none_is_refused(shop: Shop, quantity: Any) -> None:
    account = await shop.account()
    added = await shop.add(account.id, account.headers, quantity=quantity)
    ordered = await shop.place(account.id, account.headers, items=[{"sku": "LAPTOP-001", "quantity": quantity}])
    held = await shop.client.post(
        "/api/v1/inventory/LAPTOP-001/reserve", json={"quantity": quantity, "orderId": "x"}, headers=shop.service
    )
    for answer, pointer in ((added, "/quantity"), (ordered, "/items/0/quantity"), (held, "/quantity")):
        assert answer.status_code == 422
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert (await shop.stock())["reserved"] == 0


@pytest.mark.parametrize("amount", [-1, 1.001, 1e308, "1", True, Decimal(2**63)], ids=str)
async def test_an_amount_that_is_none_is_refused(shop: Shop, amount: Any) -> None:
    account = await shop.account()
    order = (await shop.place(account.id, account.headers, items=[{"sku": "LAPTOP-001", "quantity": 1}])).json()
    body = {"orderId": order["id"], "amount": float(amount) if isinstance(amount, Decimal) else amount}
    paid = await shop.client.post(
        "/api/v1/payments", json={**body, "currency": "USD", "method": CARD}, headers=account.headers
    )
    assert paid.status_code == 422, paid.text
    priced = {"name": "Mouse", "price": body["amount"], "variants": [{"sku": "MOUSE-1"}]}
    made = await shop.client.post("/api/v1/products", json=priced, headers=shop.admin)
    assert made.status_code == 422, made.text


@pytest.mark.parametrize("limit", ["0", "-1", "101", "1e2", "99999999999999999999", "x", "", "%00"])
async def test_a_page_has_at_most_a_hundred_items(shop: Shop, limit: str) -> None:
    paged = [route for route in ROUTES.values() if "limit" in {field.alias for field in route.dependant.query_params}]
    assert len(paged) >= 4
    for route in paged:
        answer = await shop.client.get(f"{route.path}?limit={limit}", headers=shop.admin)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-fields"), route.path


SCRIPT = "<script>alert(1)</script>"


async def test_markup_in_names_is_text(shop: Shop) -> None:
    account = await shop.account()
    names = {"first_name": SCRIPT, "last_name": '"><img src=x onerror=alert(1)>'}
    renamed = await shop.client.put("/api/v1/users/profile", json=names, headers=account.headers)
    marked = {"name": SCRIPT, "description": SCRIPT, "brand": SCRIPT, "price": 1, "variants": [{"sku": "XSS-1"}]}
    made = await shop.client.post("/api/v1/products", json=marked, headers=shop.admin)
    shown = await shop.client.get(f"/api/v1/products/{made.json()['id']}")
    for answer, text in ((renamed, names["first_name"]), (made, SCRIPT), (shown, SCRIPT)):
        assert text in answer.text
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<" not in made.json()["id"]
    missing = await shop.client.get("/api/v1/products/%3Cscript%3E")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    "text", ["' OR 1=1 --", '"; DROP TABLE users; --', "%", "_", "\\", "$1", "a' || pg_sleep(9) --"]
)
async def test_sql_in_a_query_is_only_text(shop: Shop, text: str) -> None:
    for path, name in (
        ("/api/v1/products", "category"),
        ("/api/v1/admin/users", "email"),
        ("/api/v1/admin/audit", "actor"),
    ):
        answer = await shop.client.get(path, params={name: text}, headers=shop.admin)
        assert answer.status_code in {200, 422}, answer.text
        if answer.status_code == 200:
            assert answer.json()["data"] == []
