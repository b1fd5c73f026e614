"""What the routes of the matrix are asked about: made when it is asked for, afresh for each caller."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import httpx

from actors.notifications.records import notification_id
from persistence.records import NotificationRow
from serve.sample_data import DEMO_ADMIN
from tests.http_app import bearer
from tests.security.access_matrix import ROLES, Caller, Entry
from tests.shop_world import CARD, Headers, Shop

PASSWORD: Final = "correct horse"
_NUMBERS = count(1)
_PLACE = re.compile(r"{(\w+)}")
MISSING: Final = {
    "user_id": "usr_" + "0" * 32,
    "order_id": "ord_" + "a" * 24,
    "unpaid": "ord_" + "a" * 24,
    "shipped": "ord_" + "a" * 24,
    "payment_id": "pay_" + "a" * 24,
}
"""Ids as good as the real ones, of nothing."""


@dataclass
class Things:
    """Things of one owner: an account, or a guest who is known by a cart id. Each is made once."""

    shop: Shop
    user_id: str
    headers: Headers
    session: dict[str, Any]
    password: str = PASSWORD
    made: dict[str, str] = field(default_factory=dict)

    async def fill(self, template: Any) -> Any:
        """The template with things in place of their names."""
        if isinstance(template, str):
            for name in _PLACE.findall(template):
                template = template.replace(f"{{{name}}}", await self.thing(name))
            return template
        if isinstance(template, dict):
            return {key: await self.fill(value) for key, value in template.items()}
        return [await self.fill(value) for value in template] if isinstance(template, list) else template

    async def thing(self, name: str) -> str:
        """The id, or what else the name stands for."""
        if name not in self.made:
            assert name in MAKERS, f"tests/security/things.py does not know how to make {{{name}}}"
            self.made[name] = await MAKERS[name](self)
        return self.made[name]

    async def order(self, *, paid: bool) -> str:
        changes = {"paymentMethod": CARD} if paid else {}
        items = [{"sku": "LAPTOP-001", "quantity": 1}]
        answer = await self.shop.place(self.user_id, self.headers, items=items, **changes)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])


async def _new(_: Things) -> str:
    return str(next(_NUMBERS))


async def _category(of: Things) -> str:
    body = {"name": f"Audio {next(_NUMBERS)}"}
    answer = await of.shop.client.post("/api/v1/categories", json=body, headers=of.shop.admin)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def _product(of: Things) -> str:
    sku = f"MOUSE-{next(_NUMBERS)}"
    body = {"name": sku, "price": 10, "variants": [{"sku": sku}]}
    answer = await of.shop.client.post("/api/v1/products", json=body, headers=of.shop.admin)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def _cart(of: Things) -> str:
    answer = await of.shop.add(of.user_id, of.headers)
    assert answer.status_code == 201, answer.text
    return of.user_id


async def _notification(of: Things) -> str:
    identifier = notification_id(f"user:{next(_NUMBERS)}:1", "email")
    row = NotificationRow(
        id=identifier, event_id=identifier, type="welcome", channel="email", recipient="e@example.com", subject="Hello",
        text_body="Hello", html_body="<p>Hello</p>", user_id=of.user_id, order_id="", status="sent", attempts=1,
        due_at_ms=1, created_at_ms=1, ended_at_ms=1,
    )  # fmt: skip
    await of.shop.stores.notifications.add([row])
    return identifier


async def _shipped(of: Things) -> str:
    order_id = await of.order(paid=True)
    answer = await of.shop.client.post(f"/api/v1/orders/{order_id}/ship", headers=of.shop.admin)
    assert answer.status_code == 200, answer.text
    return order_id


async def _payment(of: Things) -> str:
    return (await of.order(paid=True)).replace("ord_", "pay_")


async def _reservation(of: Things) -> str:
    path = "/api/v1/inventory/LAPTOP-001/reserve"
    answer = await of.shop.client.post(path, json={"quantity": 1, "orderId": "x"}, headers=of.shop.service)
    return str(answer.json()["reservationId"])


def _fixed(text: str) -> Callable[[Things], Awaitable[str]]:
    async def fixed(_: Things) -> str:
        return text

    return fixed


def _of_session(*names: str) -> Callable[[Things], Awaitable[str]]:
    async def found(of: Things) -> str:
        value: Any = of.session
        for name in names:
            value = value[name]
        return str(value)

    return found


async def _password(of: Things) -> str:
    return of.password


MAKERS: Final[dict[str, Callable[[Things], Awaitable[str]]]] = {
    "user_id": _cart,
    "other_cart": _fixed("user_other"),
    "order_id": lambda of: of.order(paid=True),
    "unpaid": lambda of: of.order(paid=False),
    "shipped": _shipped,
    "payment_id": _payment,
    "reservation": _reservation,
    "notification_id": _notification,
    "sku": _fixed("LAPTOP-001"),
    "product_id": _fixed("prod-laptop-001"),
    "category_id": _category,
    "new": _new,
    "new_category": _category,
    "new_product": _product,
    "email": _of_session("user", "email"),
    "token": _of_session("token"),
    "refresh_token": _of_session("refresh_token"),
    "password": _password,
}
"""How each name of a template, and each parameter of a path, gets its thing."""


@dataclass(frozen=True)
class Question:
    """A caller with the things that they ask about."""

    things: Things
    headers: Headers

    async def ask(self, method: str, path: str, entry: Entry, *, missing: bool = False) -> httpx.Response:
        """Send it. `missing`: about something that is not there, in place of what is owned."""
        if missing:
            self.things.made.update(MISSING)
        for parameter, thing in entry.things.items():
            self.things.made[parameter] = await self.things.thing(thing)
        url = await self.things.fill(path + (f"?{entry.query}" if entry.query else ""))
        body = await self.things.fill(entry.body)
        return await self.things.shop.client.request(method, url, json=body, headers=self.headers)


async def question(shop: Shop, caller: Caller) -> Question:
    """A new owner with new things, and the caller who asks about them."""
    number = next(_NUMBERS)
    owner = await _register(shop, f"owner{number}@example.com")
    account = bearer(owner["token"])
    things = Things(shop, owner["user"]["id"], account, owner)
    headers: Headers = {}
    match caller:
        case "anonymous":
            pass
        case "guest" | "guest without its cart id":
            cart = f"guest-{number}"
            things = Things(shop, cart, {"X-Cart-Id": cart}, owner)
            headers = things.headers if caller == "guest" else {}
        case "owner":
            headers = account
        case "another customer":
            stranger = await _register(shop, f"stranger{number}@example.com")
            headers = bearer(stranger["token"])
        case "admin":
            headers, things.password = shop.admin, DEMO_ADMIN.password
        case "service":
            headers = shop.service
    assert caller in ROLES
    return Question(things, dict(headers))


async def _register(shop: Shop, email: str) -> dict[str, Any]:
    body = {"email": email, "password": PASSWORD, "first_name": "Ada", "last_name": "Example"}
    answer = await shop.client.post("/api/v1/auth/register", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())
