"""Who may do what to whose: every route of carts, orders, payments and inventory, for everybody who may call it.

A stranger's answer about a thing of somebody else's is the same, byte for byte, as about a thing that is not there.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.shop_world import ADDRESS, CARD, LAPTOP, PRICE, Account, Headers, Shop, open_shop

MISSING_USER = "usr_" + "0" * 32
MISSING_ORDER = "ord_" + "a" * 24
MISSING_PAYMENT = "pay_" + "a" * 24
ITEMS = [{"sku": "LAPTOP-001", "quantity": 1}]


@dataclass
class Owned:
    """What belongs to A, and who is looking."""

    shop: Shop
    owner: Account
    stranger: Account
    order: str
    payment: str

    def caller(self, name: str) -> Headers:
        callers = {
            "anonymous": {},
            "owner": self.owner.headers,
            "stranger": self.stranger.headers,
            "admin": self.shop.admin,
            "service": self.shop.service,
        }
        return dict(callers[name])


@pytest.fixture
async def owned(tmp_path: Path) -> AsyncIterator[Owned]:
    async with open_shop(tmp_path) as shop:
        owner, stranger = await shop.account("a@example.com"), await shop.account("b@example.com")
        await shop.add(owner.id, owner.headers)
        order = await shop.buy(owner)
        yield Owned(shop, owner, stranger, order["id"], order["paymentId"])


@dataclass(frozen=True)
class Call:
    """A route with a resource in it: (method, path, body), made for an id that is there and one that is not."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    kind: str = "cart"

    def ids(self, owned: Owned) -> tuple[str, str]:
        there = {"cart": owned.owner.id, "order": owned.order, "payment": owned.payment}[self.kind]
        return there, {"cart": MISSING_USER, "order": MISSING_ORDER, "payment": MISSING_PAYMENT}[self.kind]

    async def send(self, shop: Shop, id_: str, headers: Headers) -> httpx.Response:
        body = (
            None
            if self.body is None
            else {k: v.replace("ID", id_) if isinstance(v, str) else v for k, v in self.body.items()}
        )
        return await shop.client.request(self.method, self.path.replace("ID", id_), json=body, headers=headers)


PAY = {"orderId": "ID", "amount": PRICE, "currency": "USD", "method": CARD}
CART_CALLS = [
    Call("GET", "/api/v1/cart/ID"),
    Call("DELETE", "/api/v1/cart/ID"),
    Call("POST", "/api/v1/cart/ID/items", {**LAPTOP, "quantity": 1}),
    Call("PUT", "/api/v1/cart/ID/items/prod-laptop-001", {"quantity": 2}),
    Call("DELETE", "/api/v1/cart/ID/items/prod-laptop-001"),
    Call("POST", "/api/v1/cart/ID/merge", {"cartId": "user_9"}),
    Call("POST", "/api/v1/cart/user_9/merge", {"cartId": "ID"}),
    Call("POST", "/api/v1/orders", {"userId": "ID", "items": ITEMS, "shippingAddress": ADDRESS}),
]
ACCOUNT_CALLS = [
    Call("GET", "/api/v1/orders?userId=ID"),
    Call("POST", "/api/v1/orders/ID/cancel", kind="order"),
    Call("GET", "/api/v1/orders/ID/history", kind="order"),
    Call("GET", "/api/v1/payments/ID", kind="payment"),
]
GUEST_CALLS = [Call("GET", "/api/v1/orders/ID", kind="order"), Call("POST", "/api/v1/payments", PAY, kind="order")]
STAFF_CALLS = [
    ("POST", "/api/v1/orders/{order}/ship", None, ("admin",)),
    ("POST", "/api/v1/orders/{order}/deliver", None, ("admin",)),
    ("POST", "/api/v1/inventory/LAPTOP-001/adjust", {"delta": 1, "reason": "x"}, ("admin",)),
    ("POST", "/api/v1/inventory/LAPTOP-001/reserve", {"quantity": 1, "orderId": "x"}, ("admin", "service")),
    ("POST", "/api/v1/inventory/LAPTOP-001/release", {"reservationId": "ext:x"}, ("admin", "service")),
    ("POST", "/api/v1/payments/{payment}/refund", {"amount": 1}, ("admin", "service")),
]


def same_answer(one: httpx.Response, id_: str, other: httpx.Response, missing: str) -> bool:
    return one.status_code == other.status_code and one.text.replace(id_, missing) == other.text


@pytest.mark.parametrize(
    "call", [*CART_CALLS, *ACCOUNT_CALLS, *GUEST_CALLS], ids=lambda call: f"{call.method} {call.path}"
)
async def test_a_strangers_thing_looks_like_one_that_is_not_there(owned: Owned, call: Call) -> None:
    there, missing = call.ids(owned)
    headers = owned.caller("stranger")
    about = await call.send(owned.shop, there, headers)
    assert (about.status_code, about.json()["code"]) == (404, "not-found")
    assert same_answer(about, there, await call.send(owned.shop, missing, headers), missing)


@pytest.mark.parametrize("call", [*CART_CALLS, *GUEST_CALLS], ids=lambda call: f"{call.method} {call.path}")
@pytest.mark.parametrize("headers", [{}, {"X-Cart-Id": "user_9"}], ids=["anonymous", "guest"])
async def test_nobody_without_a_token_sees_an_accounts_things(owned: Owned, call: Call, headers: Headers) -> None:
    there, missing = call.ids(owned)
    about = await call.send(owned.shop, there, headers)
    assert (about.status_code, about.json()["code"]) == (404, "not-found")
    assert same_answer(about, there, await call.send(owned.shop, missing, headers), missing)
    claimed = await call.send(owned.shop, there, {"X-Cart-Id": owned.owner.id})
    assert claimed.status_code == 404, "an account's id is no proof"


@pytest.mark.parametrize("call", ACCOUNT_CALLS, ids=lambda call: f"{call.method} {call.path}")
async def test_what_needs_an_account_is_401_without_one(owned: Owned, call: Call) -> None:
    assert (await call.send(owned.shop, call.ids(owned)[0], {})).status_code == 401
    service = await call.send(owned.shop, call.ids(owned)[0], owned.caller("service"))
    assert (service.status_code, service.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    "call", [*CART_CALLS, *ACCOUNT_CALLS, *GUEST_CALLS], ids=lambda call: f"{call.method} {call.path}"
)
@pytest.mark.parametrize("caller", ["owner", "admin"])
async def test_the_owner_and_an_admin_are_let_in(owned: Owned, call: Call, caller: str) -> None:
    answer = await call.send(owned.shop, call.ids(owned)[0], owned.caller(caller))
    # The order is paid already, so paying it once more is refused, but not hidden.
    assert answer.status_code in ({409} if call.body is PAY else {200, 201}), answer.text


@pytest.mark.parametrize(("method", "path", "body", "allowed"), STAFF_CALLS, ids=lambda part: str(part)[:45])
async def test_what_is_for_staff_is_for_staff(
    owned: Owned, method: str, path: str, body: dict[str, Any] | None, allowed: set[str]
) -> None:
    where = path.format(order=owned.order, payment=owned.payment)
    for caller, status in (("anonymous", 401), ("owner", 403), ("stranger", 403), ("service", 403), ("admin", 0)):
        answer = await owned.shop.client.request(method, where, json=body, headers=owned.caller(caller))
        if caller in allowed:
            let_in = answer.status_code in {200, 201, 409} or answer.json()["code"] == "reservation-not-found"
            assert let_in, (caller, answer.text)
        else:
            assert answer.status_code == status, (caller, answer.text)


async def test_a_guests_order_is_neither_listed_nor_told_to_others(owned: Owned) -> None:
    shop = owned.shop
    order = (await shop.place("user_9", items=ITEMS)).json()
    for headers in (owned.caller("owner"), owned.caller("admin")):
        listed = await shop.client.get("/api/v1/orders", params={"userId": "user_9"}, headers=headers)
        assert listed.status_code == 404
    own = (await shop.client.get("/api/v1/orders", headers=owned.caller("owner"))).json()
    assert [seen["id"] for seen in own["data"]] == [owned.order]
    seen = await shop.client.get(f"/api/v1/orders/{order['id']}", headers=owned.caller("stranger"))
    assert seen.status_code == 404


@pytest.mark.parametrize("order_id", ["x", "ord_1", "ord_" + "A" * 24, "ord_" + "a" * 25, "%24ne", "usr_1"])
async def test_an_ill_formed_order_id_is_404(owned: Owned, order_id: str) -> None:
    answer = await owned.shop.client.get(f"/api/v1/orders/{order_id}", headers=owned.caller("admin"))
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_another_accounts_key_is_another_key(owned: Owned) -> None:
    headers = {"Idempotency-Key": "shared"}
    shop = owned.shop
    mine = await shop.add(owned.owner.id, {**owned.owner.headers, **headers})
    theirs = await shop.add(owned.stranger.id, {**owned.stranger.headers, **headers})
    assert mine.json()["id"] != theirs.json()["id"]
    peek = await shop.add(owned.owner.id, {**owned.stranger.headers, **headers})
    assert peek.status_code == 404
