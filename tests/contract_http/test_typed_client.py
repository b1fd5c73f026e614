"""A typed client that is generated from the OpenAPI document, and buys something with it."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from tests.served_shop import ServedShop, served_shop
from tests.shop_world import ADDRESS, LAPTOP, PRICE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PACKAGE = "generated_stampede_client"
GENERATE_TIMEOUT_S = 120


@dataclass
class Generated:
    """The generated package. `close` ends the connections of the clients that it gave."""

    opened: list[Any] = field(default_factory=list)

    def api(self, tag: str, operation: str) -> ModuleType:
        return importlib.import_module(f"{PACKAGE}.api.{tag}.{operation}")

    def model(self, name: str) -> Any:
        return getattr(importlib.import_module(f"{PACKAGE}.models"), name)

    def client(self, shop: ServedShop, token: str = "") -> Any:
        package = importlib.import_module(PACKAGE)
        options = {"base_url": shop.url, "httpx_args": {"trust_env": False}, "raise_on_unexpected_status": True}
        client = package.AuthenticatedClient(token=token, **options) if token else package.Client(**options)
        self.opened.append(client)
        return client

    def close(self) -> None:
        for client in self.opened:
            client.get_httpx_client().close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedShop]:
    with served_shop(tmp_path_factory.mktemp("shop")) as served:
        yield served


@pytest.fixture(scope="module")
def generated(shop: ServedShop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generated]:
    folder = tmp_path_factory.mktemp("client")
    document = httpx.get(f"{shop.url}/openapi.json", trust_env=False)
    (folder / "openapi.json").write_text(document.text, encoding="utf-8")
    # Nothing is run over the code: a formatter would only hide what was generated.
    (folder / "config.json").write_text(json.dumps({"post_hooks": []}), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("openapi-python-client")), "generate", "--path", "openapi.json"]
    command += ["--config", "config.json", "--meta", "none", "--output-path", PACKAGE, "--fail-on-warning"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=GENERATE_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    made = Generated()
    try:
        yield made
    finally:
        made.close()
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
            del sys.modules[name]


def test_there_is_a_module_for_every_operation(shop: ServedShop, generated: Generated) -> None:
    document = httpx.get(f"{shop.url}/openapi.json", trust_env=False).json()
    for item in document["paths"].values():
        for operation in item.values():
            module = generated.api(operation["tags"][0], operation["operationId"])
            assert callable(module.sync_detailed)
            assert callable(module.asyncio_detailed)


def test_a_customer_registers_browses_and_buys(shop: ServedShop, generated: Generated) -> None:
    anybody = generated.client(shop)
    registration = generated.model("RegisterIn")(
        email="typed@example.com", password="correct horse", first_name="Ty", last_name="Ped"
    )
    session = generated.api("auth", "register").sync(client=anybody, body=registration)
    assert isinstance(session, generated.model("SessionOut"))
    assert (session.user.email, session.user.role, session.token_type) == ("typed@example.com", "customer", "Bearer")
    customer = generated.client(shop, session.token)

    page = generated.api("catalog", "list_products").sync(client=anybody, limit=5)
    (product,) = page.data
    assert (product.id, product.price, page.meta.total) == (LAPTOP["productId"], PRICE, 1)
    assert product.variants[0].sku == LAPTOP["sku"]

    line = generated.model("AddItemIn")(product_id=product.id, sku=LAPTOP["sku"], quantity=2)
    cart = generated.api("cart", "add_item").sync(session.user.id, client=customer, body=line)
    assert (cart.item_count, cart.subtotal, cart.items[0].name) == (2, 2 * PRICE, product.name)

    wanted = generated.model("OrderIn")(
        user_id=session.user.id,
        shipping_address=generated.model("AddressIn").from_dict(ADDRESS),
        payment_method=generated.model("PaymentMethodIn")(token="tok_ok"),
        expected_total=2 * PRICE,
    )
    placed = generated.api("orders", "place_order").sync_detailed(
        client=customer, body=wanted, idempotency_key="typed-1"
    )
    order = placed.parsed
    assert (placed.status_code, order.status, order.total) == (201, "confirmed", 2 * PRICE)
    again = generated.api("orders", "place_order").sync_detailed(
        client=customer, body=wanted, idempotency_key="typed-1"
    )
    assert (again.parsed.id, again.headers["idempotent-replayed"]) == (order.id, "true")

    listed = generated.api("orders", "list_orders").sync(client=customer, user_id=session.user.id)
    assert [each.id for each in listed.data] == [order.id]
    payment = generated.api("payments", "get_payment").sync(order.payment_id, client=customer)
    assert (payment.status, payment.captured) == ("captured", 2 * PRICE)
    cancelled = generated.api("orders", "cancel_order").sync(order.id, client=customer)
    assert cancelled.status == "cancelled"


async def test_the_same_without_blocking(shop: ServedShop, generated: Generated) -> None:
    async with generated.client(shop) as client:
        found = await generated.api("inventory", "get_stock").asyncio("LAPTOP-001-32", client=client)
        assert (found.sku, found.on_hand, found.available) == ("LAPTOP-001-32", 5, 5)


def test_what_is_refused_comes_back_as_a_typed_problem(shop: ServedShop, generated: Generated) -> None:
    problem_type = generated.model("Problem")
    client = generated.client(shop)
    login = generated.model("LoginIn")(email="nobody@example.com", password="wrong")
    problem = generated.api("auth", "login").sync(client=client, body=login)
    assert isinstance(problem, problem_type)
    assert (problem.status, problem.code) == (401, "invalid-credentials")

    missing = generated.api("catalog", "get_product").sync_detailed("no-such-product", client=client)
    assert (missing.status_code, missing.parsed.code) == (404, "not-found")

    wanted = generated.model("OrderIn")(
        user_id="guest-9",
        email="guest@example.com",
        items=[generated.model("OrderItemIn")(sku="LAPTOP-001", quantity=10_000)],
        shipping_address=generated.model("AddressIn").from_dict(ADDRESS),
    )
    refused = generated.api("orders", "place_order").sync(client=client, body=wanted)
    assert (refused.code, refused["sku"]) == ("insufficient-stock", "LAPTOP-001")

    bad = generated.model("AddItemIn")(product_id="prod-laptop-001", sku="LAPTOP-001", quantity=0)
    invalid = generated.api("cart", "add_item").sync("guest-9", client=client, body=bad)
    assert (invalid.code, invalid.errors[0].pointer) == ("invalid-fields", "/quantity")

    forbidden = generated.api("admin", "get_stats").sync(client=generated.client(shop, "not-a-token"))
    assert (forbidden.status, forbidden.code) == (401, "invalid-token")


def test_an_administrator_sees_the_figures(shop: ServedShop, generated: Generated) -> None:
    admin = generated.client(shop, shop.admin["Authorization"].removeprefix("Bearer "))
    stats = generated.api("admin", "get_stats").sync(client=admin, days=2)
    assert isinstance(stats, generated.model("StatsOut"))
    assert len(stats.days) == 2
    assert stats.stock.skus == 2
