"""The sample catalog, loaded as an administrator's client would, and the demo accounts (development only)."""

import asyncio
import secrets
from importlib.resources import files
from typing import Final

import bcrypt
import httpx
import msgspec

from persistence.errors import AlreadyExists
from persistence.records import NewEvent, UserRecord
from persistence.stores import Stores
from serve.auth.principal import ACCOUNT_PREFIX, Role
from serve.schemas.users import email_key
from serve.settings import ServeSettings

REQUEST_TIMEOUT_S: Final = 15.0
BUSY_ATTEMPTS_MAX: Final = 5
_REASON: Final = "sample data"


class DemoUser(msgspec.Struct, frozen=True):
    """An account whose password is in the documentation."""

    email: str
    password: str
    first_name: str
    last_name: str
    role: Role


DEMO_ADMIN: Final = DemoUser("admin@ecommerce.local", "admin123", "Demo", "Admin", Role.ADMIN)
DEMO_CUSTOMER: Final = DemoUser("customer@ecommerce.local", "customer123", "Demo", "Customer", Role.CUSTOMER)


class SampleDataError(Exception):
    """The platform did not take the sample data; the message says what it answered."""


class DemoUsersInProduction(Exception):
    """The store has accounts whose passwords are in the documentation."""


class _Item(msgspec.Struct, frozen=True):
    product: msgspec.Raw
    stock: dict[str, int]


class _Catalog(msgspec.Struct, frozen=True):
    categories: list[msgspec.Raw]
    products: list[_Item]


async def load(
    base_url: str, admin_email: str, admin_password: str, *, transport: httpx.AsyncBaseTransport | None = None
) -> None:
    """Load categories, products and stock over HTTP, once.

    Safe to repeat, also after a crash half-way: what is there stays as it is, and once all of it was loaded nothing is
    sent again, so what an administrator deleted stays deleted. Raises `SampleDataError` or `httpx.HTTPError`.
    """
    catalog = _read_catalog()
    async with httpx.AsyncClient(base_url=base_url, timeout=REQUEST_TIMEOUT_S, transport=transport) as client:
        client.headers["Authorization"] = f"Bearer {await _log_in(client, admin_email, admin_password)}"
        *_, last_sku = catalog.products[-1].stock
        if await _has_stock_record(client, last_sku):
            return
        for category in catalog.categories:
            await _post(client, "/api/v1/categories", category)
        for item in catalog.products:
            await _post(client, "/api/v1/products", item.product)
            for sku, units in item.stock.items():
                if not await _has_stock_record(client, sku):
                    await _stock(client, sku, units)


async def ensure_demo_users(stores: Stores, settings: ServeSettings) -> None:
    """Make the demo accounts unless they are there. In production, or switched off, it does nothing.

    The role admin cannot be had over HTTP; this writes the accounts to the store.
    """
    if settings.production or not settings.auth_demo_users:
        return
    now_ms = await stores.ownership.now_ms()
    for demo in (DEMO_ADMIN, DEMO_CUSTOMER):
        if await stores.users.by_email(email_key(demo.email)) is None:
            user = _account(demo, settings.auth_bcrypt_rounds, now_ms)
            try:
                await stores.users.add(user, _registered(user))
            except AlreadyExists:
                continue  # another process was faster


async def refuse_demo_users(stores: Stores, settings: ServeSettings) -> None:
    """In production: raise `DemoUsersInProduction` if a demo account still has its documented password."""
    if not settings.production:
        return
    for demo in (DEMO_ADMIN, DEMO_CUSTOMER):
        user = await stores.users.by_email(email_key(demo.email))
        if user is not None and bcrypt.checkpw(demo.password.encode(), user.password_hash.encode()):
            raise DemoUsersInProduction(f"{demo.email} has its documented password: change it before production starts")


def _read_catalog() -> _Catalog:
    text = files("serve").joinpath("sample_catalog.json").read_bytes()
    return msgspec.json.decode(text, type=_Catalog)


async def _log_in(client: httpx.AsyncClient, email: str, password: str) -> str:
    answer = await client.post("/api/v1/auth/login", json={"email": email, "password": password})
    _expect(answer, 200)
    return str(answer.json()["token"])


async def _has_stock_record(client: httpx.AsyncClient, sku: str) -> bool:
    answer = await client.get(f"/api/v1/inventory/{sku}")
    _expect(answer, 200, 404)
    return answer.status_code == httpx.codes.OK and int(answer.json()["version"]) > 0


async def _stock(client: httpx.AsyncClient, sku: str, units: int) -> None:
    body = msgspec.json.encode({"delta": units, "reason": _REASON})
    # The key makes a repeat after a lost answer harmless.
    await _post(client, f"/api/v1/inventory/{sku}/adjust", body, key=f"sample-stock-{sku}")


async def _post(client: httpx.AsyncClient, path: str, body: bytes | msgspec.Raw, *, key: str | None = None) -> None:
    headers = {"Content-Type": "application/json", **({"Idempotency-Key": key} if key else {})}
    for attempt in range(1, BUSY_ATTEMPTS_MAX + 1):
        answer = await client.post(path, content=bytes(body), headers=headers)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or attempt == BUSY_ATTEMPTS_MAX:
            break
        await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))
    # 409: it is there already.
    _expect(answer, 200, 201, 409)


def _expect(answer: httpx.Response, *statuses: int) -> None:
    if answer.status_code not in statuses:
        request = answer.request
        raise SampleDataError(f"{request.method} {request.url.path} was answered {answer.status_code}: {answer.text}")


def _account(demo: DemoUser, rounds: int, now_ms: int) -> UserRecord:
    return UserRecord(
        id=ACCOUNT_PREFIX + secrets.token_hex(16),
        email=demo.email,
        email_key=email_key(demo.email),
        password_hash=bcrypt.hashpw(demo.password.encode(), bcrypt.gensalt(rounds)).decode("ascii"),
        password_version=1,
        first_name=demo.first_name,
        last_name=demo.last_name,
        role=demo.role.value,
        created_at_ms=now_ms,
    )


def _registered(user: UserRecord) -> NewEvent:
    return NewEvent(
        entity_type="user",
        entity_id=user.id,
        version=1,
        type="user.registered",
        schema_version=1,
        body=msgspec.json.encode({"userId": user.id, "role": user.role}),
        command_id=f"demo-user:{user.id}",
        correlation_id=f"demo-user:{user.id}",
        causation_id="",
        traceparent="",
        at_ms=user.created_at_ms,
    )
