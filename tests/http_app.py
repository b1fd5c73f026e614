"""The HTTP application over memory stores, a clock that tests move, and entities that answer what a test says."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from cluster.envelope import IdempotencyKey
from persistence.stores import Stores, open_memory_stores
from serve.app import build_app
from serve.deps import EntityReply, MergeCart
from serve.sample_data import DEMO_ADMIN, DEMO_CUSTOMER, ensure_demo_users
from serve.settings import ServeSettings

START_MS = 1_800_000_000_000
SECRET = "unit-test-key-0123456789-abcdefghij-KLMNOPQRSTUVWXYZ-and-a-bit-more-for-512"
PASSWORD = "correct horse"


@dataclass
class FakeClock:
    """Stands still until a test moves it."""

    at_ms: int = START_MS

    def now_ms(self) -> int:
        return self.at_ms

    def advance(self, by_ms: int) -> None:
        self.at_ms += by_ms


@dataclass(frozen=True)
class Asked:
    """One question that reached the entities."""

    entity_type: str
    entity_id: str
    command: object
    command_id: str | None
    idempotency: IdempotencyKey | None
    actor: str


@dataclass
class FakeRefs:
    """Answers every question with `answer`; raises it if it is an exception."""

    answer: Callable[[Asked], EntityReply | Exception] = lambda _asked: EntityReply(reply=None)
    asked: list[Asked] = field(default_factory=list)

    async def ask(
        self,
        entity_type: str,
        entity_id: str,
        command: object,
        *,
        command_id: str | None,
        idempotency: IdempotencyKey | None,
        actor: str,
        deadline_ms: int,
    ) -> EntityReply:
        assert deadline_ms > 0
        question = Asked(entity_type, entity_id, command, command_id, idempotency, actor)
        self.asked.append(question)
        answer = self.answer(question)
        if isinstance(answer, Exception):
            raise answer
        return answer


def settings_for_tests(data_dir: Path, **changes: Any) -> ServeSettings:
    given: dict[str, Any] = {"data_dir": data_dir, "auth_jwt_secret": SECRET, "ids_secret": SECRET, **changes}
    given.setdefault("auth_bcrypt_rounds", 10 if given.get("env") == "production" else 4)
    return ServeSettings(**given)


@dataclass
class World:
    """Everything one test needs."""

    app: FastAPI
    client: httpx.AsyncClient
    stores: Stores
    refs: FakeRefs
    clock: FakeClock
    settings: ServeSettings

    async def register(self, email: str = "test@example.com", password: str = PASSWORD) -> dict[str, Any]:
        answer = await self.client.post(
            "/api/v1/auth/register",
            json={"email": email, "password": password, "first_name": "Test", "last_name": "User"},
        )
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def login(self, email: str, password: str = PASSWORD) -> httpx.Response:
        return await self.client.post("/api/v1/auth/login", json={"email": email, "password": password})

    async def admin(self) -> dict[str, str]:
        """Headers of an administrator."""
        await ensure_demo_users(self.stores, self.settings)
        answer = await self.login(DEMO_ADMIN.email, DEMO_ADMIN.password)
        return bearer(answer.json()["token"])

    async def customer(self) -> dict[str, str]:
        """Headers of the demo customer."""
        await ensure_demo_users(self.stores, self.settings)
        answer = await self.login(DEMO_CUSTOMER.email, DEMO_CUSTOMER.password)
        return bearer(answer.json()["token"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def open_world(
    data_dir: Path,
    *,
    stores: Stores | None = None,
    clock: FakeClock | None = None,
    merge_cart: MergeCart | None = None,
    **settings: Any,
) -> AsyncIterator[World]:
    """An application and a client of it. Give `stores` and `clock` of another world for a second replica."""
    ticking = clock or FakeClock()
    held = stores or open_memory_stores(ticking.now_ms)
    refs = FakeRefs()
    chosen = settings_for_tests(data_dir, **settings)
    app = build_app(refs, held, chosen, ticking, merge_cart=merge_cart)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield World(app=app, client=client, stores=held, refs=refs, clock=ticking, settings=chosen)
