"""The whole shop in one process: the HTTP application over the real entity runtime and memory stores."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from actors.gateway.port import PaymentGateway
from actors.gateway.sandbox import SandboxGateway
from actors.price_book import PriceBook
from actors.refs import TypedRefs
from actors.registry import ENTITY_TYPES
from actors.runtime.host_runtime import HostRuntime
from actors.runtime.performer import LocalDelivery, RegionPerformer
from actors.runtime.settings import RuntimeSettings
from actors.unique_ids import new_id
from cluster.entity_ref import EntityRefs
from cluster.hashing import shard_of
from cluster.host import ClusterHost, ClusterPorts
from cluster.local_transport import LocalTransport
from cluster.membership import HostIdentity
from cluster.settings import ClusterSettings
from cluster.shard_runtime import HostContext
from persistence.memory.tables import MemoryTables
from persistence.stores import Stores, open_memory_stores
from serve.app import build_app
from serve.auth.principal import Role
from serve.auth.tokens import signer_of
from serve.sample_data import DEMO_ADMIN, ensure_demo_users
from serve.settings import ServeSettings
from tests.http_app import settings_for_tests

SHARDS = 4
ADDRESS = {"name": "Ada Example", "line1": "1 Main Street", "city": "Springfield", "postalCode": "1", "country": "US"}
LAPTOP = {"productId": "prod-laptop-001", "sku": "LAPTOP-001"}
PRICE = 1299.99
CARD = {"type": "card", "token": "tok_ok"}
Headers = dict[str, str]


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class WallClock:
    def now_ms(self) -> int:
        return wall_ms()


@dataclass
class Account:
    """Somebody who is logged in."""

    id: str
    headers: Headers


@dataclass
class Shop:
    """Everything one test needs."""

    app: FastAPI
    client: httpx.AsyncClient
    stores: Stores
    host: ClusterHost
    settings: ServeSettings
    admin: Headers
    service: Headers

    async def account(self, email: str = "ada@example.com") -> Account:
        body = {"email": email, "password": "correct horse", "first_name": "Ada", "last_name": "Example"}
        answer = (await self.client.post("/api/v1/auth/register", json=body)).json()
        return Account(answer["user"]["id"], {"Authorization": f"Bearer {answer['token']}"})

    async def stock(self, sku: str = "LAPTOP-001") -> dict[str, Any]:
        return dict((await self.client.get(f"/api/v1/inventory/{sku}")).json())

    async def add(self, cart: str, headers: Headers | None = None, **changes: Any) -> httpx.Response:
        body = {**LAPTOP, "quantity": 1, **changes}
        return await self.client.post(f"/api/v1/cart/{cart}/items", json=body, headers=headers)

    async def place(self, user_id: str, headers: Headers | None = None, **changes: Any) -> httpx.Response:
        body = {"userId": user_id, "shippingAddress": ADDRESS, **changes}
        if not user_id.startswith("usr_"):
            body.setdefault("email", "guest@example.com")
        return await self.client.post("/api/v1/orders", json=body, headers=headers)

    async def buy(self, account: Account, quantity: int = 1, token: str = "tok_ok") -> dict[str, Any]:
        """A paid order."""
        answer = await self.place(
            account.id,
            account.headers,
            items=[{"sku": "LAPTOP-001", "quantity": quantity}],
            paymentMethod={**CARD, "token": token},
        )
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def reprice(self, price: float) -> None:
        path = "/api/v1/products/prod-laptop-001"
        product = (await self.client.get(path)).json()
        del product["version"]
        for variant in product["variants"]:
            del variant["available"]
        product["price"] = product["variants"][0]["price"] = price
        answer = await self.client.put(path, json=product, headers=self.admin)
        assert answer.status_code == 200, answer.text


@asynccontextmanager
async def open_shop(
    data_dir: Path,
    *,
    gateway_timeout_ms: int = 100,
    gateway: Callable[[Stores], PaymentGateway] | None = None,
    tables: MemoryTables | None = None,
    stores: Stores | None = None,
    **settings: Any,
) -> AsyncIterator[Shop]:
    """A shop with one product of three variants: 10 of LAPTOP-001, 5 of LAPTOP-001-32, no record of LAPTOP-001-64.

    The gateway is the sandbox unless one is given; `tables`: for whoever wants to look into the stores;
    `stores`: other ones, which stay the caller's to close.
    """
    stores = stores or open_memory_stores(wall_ms, tables=tables)
    host = _host(stores, gateway_timeout_ms, gateway)
    await host.start()
    chosen = settings_for_tests(data_dir, limits_enabled=False, **settings)
    refs = TypedRefs(EntityRefs(region=host.region, clock=host.clock, new_id=new_id), ENTITY_TYPES)
    app = build_app(refs, stores, chosen, WallClock())
    await ensure_demo_users(stores, chosen)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            login = {"email": DEMO_ADMIN.email, "password": DEMO_ADMIN.password}
            token = (await client.post("/api/v1/auth/login", json=login)).json()["token"]
            service = signer_of(chosen).issue(subject="svc_test", role=Role.SERVICE, now_ms=wall_ms(), ttl_s=60)
            shop = Shop(app, client, stores, host, chosen, _bearer(token), _bearer(service))
            await _stock_shelves(shop)
            yield shop
    finally:
        await host.stop()
        runtime = host.runtime
        assert isinstance(runtime, HostRuntime)
        await runtime.close()


async def eventually(holds: Callable[[], Any]) -> Any:
    """Polls until it is truthy: for what the platform promises within a second."""
    async with asyncio.timeout(5):
        while not (found := await holds()):  # noqa: ASYNC110 - other tasks of the platform are what is waited for
            await asyncio.sleep(0.01)
    return found


def _bearer(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}


async def _stock_shelves(shop: Shop) -> None:
    product = {
        "id": "prod-laptop-001",
        "name": "Premium Ultrabook Pro 15",
        "price": PRICE,
        "variants": [
            {"sku": "LAPTOP-001", "price": PRICE},
            {"sku": "LAPTOP-001-32", "price": 1599.00},
            {"sku": "LAPTOP-001-64", "price": 1999.00},
        ],
    }
    answer = await shop.client.post("/api/v1/products", json=product, headers=shop.admin)
    assert answer.status_code == 201, answer.text
    for sku, units in (("LAPTOP-001", 10), ("LAPTOP-001-32", 5)):
        body = {"delta": units, "reason": "first delivery"}
        answer = await shop.client.post(f"/api/v1/inventory/{sku}/adjust", json=body, headers=shop.admin)
        assert answer.status_code == 200, answer.text


def _host(
    stores: Stores, gateway_timeout_ms: int, chosen: Callable[[Stores], PaymentGateway] | None = None
) -> ClusterHost:
    transport = LocalTransport()
    ports = ClusterPorts(
        store=stores.ownership, transport=transport, new_id=new_id, settings=ClusterSettings(shard_count=SHARDS)
    )
    runtime_settings = RuntimeSettings(gateway_timeout_ms=gateway_timeout_ms)
    # Every price is read anew: tests change prices and order at once.
    prices = PriceBook(stores.catalog, count(0, 10_000).__next__)
    gateway = chosen(stores) if chosen is not None else SandboxGateway(stores.ledger, wall_ms)

    def runtime(context: HostContext) -> HostRuntime:
        refs = EntityRefs(region=context.region, clock=context.clock, new_id=new_id)

        def performer(local: LocalDelivery) -> RegionPerformer:
            return RegionPerformer(
                refs=refs,
                types=ENTITY_TYPES,
                prices=prices,
                gateway=gateway,
                settings=runtime_settings,
                local=local,
            )

        return HostRuntime(
            types=ENTITY_TYPES.values(),
            stores=stores,
            clock=context.clock,
            may_answer=context.may_answer,
            shard_of=partial(shard_of, shard_count=SHARDS),
            performer_for=performer,
            settings=runtime_settings,
        )

    incarnation = new_id()
    name = f"host-{incarnation}"
    host = ClusterHost(
        ports=ports,
        journals=stores.journals,
        identity=HostIdentity(host="h", node="n", actor_name=name),
        first_incarnation=incarnation,
        runtime=runtime,
    )
    transport.listen(name, host.exchange)
    return host
