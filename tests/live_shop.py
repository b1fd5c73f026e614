"""A client of a real platform: whatever tests ask a shop for, in few words."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

Json = dict[str, Any]
ADDRESS: Json = {"name": "Ada Test", "line1": "1 Main Street", "city": "Town", "postalCode": "12345", "country": "US"}
PRICE = 19.99
ANSWER_TIMEOUT_S = 20.0


class LiveShop:
    """Asks one platform; every method returns the raw answer unless it says otherwise."""

    def __init__(self, url: str, admin: dict[str, str]) -> None:
        """`admin`: the headers of an administrator."""
        self.client = httpx.AsyncClient(
            base_url=f"{url}/api/v1", timeout=ANSWER_TIMEOUT_S, trust_env=False,
            limits=httpx.Limits(max_connections=256, max_keepalive_connections=256),
        )  # fmt: skip
        self.url = url
        self.admin = admin

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.client.aclose()

    async def register(self) -> Json:
        """A new account's session."""
        name = secrets.token_hex(6)
        body = {"email": f"{name}@example.com", "password": "test1234", "first_name": "Test", "last_name": "User"}
        return expect(await self.client.post("/auth/register", json=body), 201)

    async def new_sku(self, units: int) -> str:
        """A SKU of its own product, with so many units on hand, and nobody else who buys it."""
        name = secrets.token_hex(4)
        sku = f"SKU-{name.upper()}"
        product = {
            "id": f"prod-{name}", "name": f"Product {name}", "description": "", "brand": "Test", "price": PRICE,
            "currency": "USD", "categories": ["electronics"], "attributes": {}, "images": [],
            "variants": [{"sku": sku, "options": {}, "price": PRICE}],
        }  # fmt: skip
        expect(await self.client.post("/products", json=product, headers=self.admin), 201)
        body = {"delta": units, "reason": "test"}
        expect(await self.client.post(f"/inventory/{sku}/adjust", json=body, headers=self.admin), 200)
        return sku

    async def stock(self, sku: str) -> Json:
        """Its level."""
        return expect(await self.client.get(f"/inventory/{sku}"), 200)

    async def order(
        self,
        items: Mapping[str, int],
        *,
        cart_id: str | None = None,
        token: str | None = "tok_ok",
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Order as a guest; without a token it is paid later."""
        body = order_body(items, cart_id or new_cart(), token)
        sent = {**(headers or {}), **({} if key is None else {"Idempotency-Key": key})}
        return await self.client.post("/orders", json=body, headers=sent)

    async def get_order(self, order_id: str, cart_id: str) -> httpx.Response:
        """A guest's order."""
        return await self.client.get(f"/orders/{order_id}", headers={"X-Cart-Id": cart_id})

    async def pay(self, order: Json, *, token: str = "tok_ok", key: str | None = None) -> httpx.Response:
        """Pay a guest's order."""
        body = {"orderId": order["id"], "amount": order["total"], "currency": order["currency"]}
        sent = {"X-Cart-Id": order["userId"], **({} if key is None else {"Idempotency-Key": key})}
        return await self.client.post(
            "/payments", json=body | {"method": {"type": "card", "token": token}}, headers=sent
        )

    async def cancel(self, order_id: str, *, key: str | None = None) -> httpx.Response:
        """Cancel as an administrator."""
        sent = {**self.admin, **({} if key is None else {"Idempotency-Key": key})}
        return await self.client.post(f"/orders/{order_id}/cancel", json={"reason": "test"}, headers=sent)


def order_body(items: Mapping[str, int], cart_id: str, token: str | None) -> Json:
    """The body of a guest's order."""
    body: Json = {"userId": cart_id, "email": "guest@example.com", "shippingAddress": ADDRESS}
    body["items"] = [{"sku": sku, "quantity": units} for sku, units in items.items()]
    return body if token is None else body | {"paymentMethod": {"type": "card", "token": token}}


def new_cart() -> str:
    """The id of a guest's cart that nobody has used."""
    return f"guest_{secrets.token_hex(8)}"


def bearer(session: Json) -> dict[str, str]:
    """The headers of who holds this session."""
    return {"Authorization": f"Bearer {session['token']}"}


def expect(answer: httpx.Response, status: int) -> Json:
    """The body of an answer that must have this status."""
    assert answer.status_code == status, f"{answer.request.method} {answer.request.url}: {answer.text[:500]}"
    found: Json = answer.json()
    return found


async def settles(ask: Callable[[], Awaitable[Json]], holds: Callable[[Json], bool], within_s: float) -> Json:
    """Ask until it holds; returns the last answer."""
    deadline = time.monotonic() + within_s
    while True:
        found = await ask()
        if holds(found):
            return found
        assert time.monotonic() < deadline, f"not within {within_s} s; the last answer was {found}"
        await asyncio.sleep(0.05)
