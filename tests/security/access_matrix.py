"""Who gets which status on which route: the table behind tests/security/test_matrix.py and docs/access.md.

A new route needs an entry in `ENTRIES`: what a caller who may call it is answered, with what body, and whose the thing
is that it names. What everybody else gets follows from the route's own declaration (`@allow`, `@public`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from serve.auth.principal import Role
from serve.route import GuardedRoute
from tests.shop_world import ADDRESS, CARD, PRICE

Caller = Literal["anonymous", "guest", "guest without its cart id", "owner", "another customer", "admin", "service"]

ROLES: Final[Mapping[Caller, Role]] = {
    "anonymous": Role.GUEST,
    "guest": Role.GUEST,
    "guest without its cart id": Role.GUEST,
    "owner": Role.CUSTOMER,
    "another customer": Role.CUSTOMER,
    "admin": Role.ADMIN,
    "service": Role.SERVICE,
}
"""Every caller of the matrix. The two guests ask about what is a guest's, the others about what is the owner's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is asked of a route, and what a caller who may ask it is answered.

    `{name}` in `query`, in strings of `body` and in the path stands for a thing of `tests/security/things.py`; `things`
    says which, where it is not the one of the parameter's own name.
    `owned`: it names something that belongs to an account or to a guest. To everybody else it does not exist.
    `known_by_id`: knowing a guest's id is the right to it, without the header X-Cart-Id.
    """

    status: int
    body: Any = None
    query: str = ""
    things: Mapping[str, str] = field(default_factory=dict)
    owned: bool = False
    known_by_id: bool = False


def expected(route: GuardedRoute, entry: Entry, caller: Caller) -> int:
    """The status that this caller must get."""
    role = ROLES[caller]
    if not route.access.public and role not in route.access.roles:
        return 401 if role is Role.GUEST else 403
    if not entry.owned or caller in {"owner", "guest", "admin", "service"}:
        return entry.status
    return entry.status if caller == "guest without its cart id" and entry.known_by_id else 404


PRODUCT: Final = {"name": "Keyboard {new}", "price": 10, "variants": [{"sku": "KEY-{new}", "price": 10}]}
PAYMENT: Final = {"orderId": "{unpaid}", "amount": PRICE, "currency": "USD", "method": CARD}
ORDER: Final = {
    "userId": "{user_id}",
    "items": [{"sku": "LAPTOP-001", "quantity": 1}],
    "shippingAddress": ADDRESS,
    "email": "e@example.com",
}
NAMES: Final = {"first_name": "Ada", "last_name": "Example"}
SHIPPED: Final = {"order_id": "shipped"}

ENTRIES: Final[Mapping[tuple[str, str], Entry]] = {
    # Catalog
    ("GET", "/api/v1/products"): Entry(status=200),
    ("GET", "/api/v1/products/{product_id}"): Entry(status=200),
    ("POST", "/api/v1/products"): Entry(status=201, body=PRODUCT),
    ("PUT", "/api/v1/products/{product_id}"): Entry(
        status=200, body={**PRODUCT, "variants": [{"sku": "LAPTOP-001", "price": 10}]}
    ),
    ("DELETE", "/api/v1/products/{product_id}"): Entry(status=204, things={"product_id": "new_product"}),
    ("GET", "/api/v1/search"): Entry(status=200, query="q=laptop"),
    ("GET", "/api/v1/search/suggest"): Entry(status=200, query="q=lap"),
    ("GET", "/api/v1/categories"): Entry(status=200),
    ("POST", "/api/v1/categories"): Entry(status=201, body={"name": "Gaming {new}"}),
    ("PUT", "/api/v1/categories/{category_id}"): Entry(status=200, body={"name": "Sound"}),
    ("DELETE", "/api/v1/categories/{category_id}"): Entry(status=204, things={"category_id": "new_category"}),
    # Inventory
    ("GET", "/api/v1/inventory/{sku}"): Entry(status=200),
    ("POST", "/api/v1/inventory/{sku}/reserve"): Entry(status=201, body={"quantity": 1, "orderId": "theirs-1"}),
    ("POST", "/api/v1/inventory/{sku}/release"): Entry(status=200, body={"reservationId": "{reservation}"}),
    ("POST", "/api/v1/inventory/{sku}/adjust"): Entry(status=200, body={"delta": 1, "reason": "delivery"}),
    # Carts
    ("GET", "/api/v1/cart/{user_id}"): Entry(status=200, owned=True, known_by_id=True),
    ("DELETE", "/api/v1/cart/{user_id}"): Entry(status=200, owned=True, known_by_id=True),
    ("POST", "/api/v1/cart/{user_id}/items"): Entry(
        status=201,
        body={"productId": "prod-laptop-001", "sku": "LAPTOP-001", "quantity": 1},
        owned=True,
        known_by_id=True,
    ),
    ("PUT", "/api/v1/cart/{user_id}/items/{product_id}"): Entry(
        status=200, body={"quantity": 2}, owned=True, known_by_id=True
    ),
    ("DELETE", "/api/v1/cart/{user_id}/items/{product_id}"): Entry(status=200, owned=True, known_by_id=True),
    ("POST", "/api/v1/cart/{user_id}/merge"): Entry(
        status=200, body={"cartId": "{other_cart}"}, owned=True, known_by_id=True
    ),
    # Orders
    ("POST", "/api/v1/orders"): Entry(status=201, body=ORDER, owned=True, known_by_id=True),
    ("GET", "/api/v1/orders"): Entry(status=200, query="userId={user_id}", owned=True),
    ("GET", "/api/v1/orders/{order_id}"): Entry(status=200, owned=True),
    ("GET", "/api/v1/orders/{order_id}/history"): Entry(status=200, owned=True),
    ("POST", "/api/v1/orders/{order_id}/cancel"): Entry(status=200, owned=True),
    ("POST", "/api/v1/orders/{order_id}/ship"): Entry(status=200),
    ("POST", "/api/v1/orders/{order_id}/deliver"): Entry(status=200, things=SHIPPED),
    # Payments
    ("POST", "/api/v1/payments"): Entry(status=201, body=PAYMENT, owned=True),
    ("GET", "/api/v1/payments/{payment_id}"): Entry(status=200, owned=True),
    ("POST", "/api/v1/payments/{payment_id}/refund"): Entry(status=200),
    # Not signed by the gateway
    ("POST", "/api/v1/payments/webhook"): Entry(status=400, body={"type": "charge.succeeded"}),
    # Accounts
    ("POST", "/api/v1/auth/register"): Entry(
        status=201, body={"email": "new{new}@example.com", "password": "correct horse", **NAMES}
    ),
    ("POST", "/api/v1/auth/login"): Entry(status=200, body={"email": "{email}", "password": "correct horse"}),
    ("POST", "/api/v1/auth/validate"): Entry(status=200, body={"token": "{token}"}),
    ("POST", "/api/v1/auth/refresh"): Entry(status=200, body={"refresh_token": "{refresh_token}"}),
    ("POST", "/api/v1/auth/logout"): Entry(status=200, body={"refresh_token": "{refresh_token}"}),
    ("GET", "/api/v1/users/profile"): Entry(status=200),
    ("PUT", "/api/v1/users/profile"): Entry(status=200, body=NAMES),
    ("POST", "/api/v1/users/change-password"): Entry(
        status=200, body={"current_password": "{password}", "new_password": "battery staple"}
    ),
    # Administration
    ("GET", "/api/v1/admin/stats"): Entry(status=200),
    ("GET", "/api/v1/admin/orders"): Entry(status=200),
    ("GET", "/api/v1/admin/inventory"): Entry(status=200),
    ("GET", "/api/v1/admin/cluster"): Entry(status=200),
    ("GET", "/api/v1/admin/users"): Entry(status=200),
    ("GET", "/api/v1/admin/audit"): Entry(status=200),
    ("GET", "/api/v1/admin/notifications"): Entry(status=200),
    ("GET", "/api/v1/admin/notifications/{notification_id}"): Entry(status=200),
    # Operations
    ("GET", "/health"): Entry(status=200),
    ("GET", "/ready"): Entry(status=200),
    ("GET", "/metrics"): Entry(status=200),
    ("GET", "/openapi.json"): Entry(status=200),
    ("GET", "/docs"): Entry(status=200),
    ("GET", "/dev/mail"): Entry(status=200),
    ("GET", "/dev/mail/{notification_id}"): Entry(status=200),
    ("GET", "/dev/mail/{notification_id}/html"): Entry(status=200),
}

LETTERS: Final = {Role.GUEST: "G", Role.CUSTOMER: "C", Role.ADMIN: "A", Role.SERVICE: "S"}


def markdown(routes: Sequence[GuardedRoute]) -> str:
    """The matrix as docs/access.md has it: a row a route and method, in the order of `ENTRIES`."""
    by_key = {(method, route.path): route for route in routes for method in route.methods or ()}
    heads = ["request", "for", *ROLES]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for (method, path), entry in ENTRIES.items():
        route = by_key[method, path]
        letters = (
            "P"
            if route.access.public
            else "".join(letter for role, letter in LETTERS.items() if role in route.access.roles)
        )
        statuses = [str(expected(route, entry, caller)) for caller in ROLES]
        lines.append(f"| {' | '.join([f'`{method} {path}`', letters, *statuses])} |")
    return "\n".join(lines)
