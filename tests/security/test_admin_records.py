"""What administrators and services do leaves a record, whatever became of it; nothing secret is in it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from persistence.errors import OutcomeUnknown, StoreUnavailable
from persistence.records import AdminRecord
from persistence.stores import Stores
from serve.auth.principal import Role
from serve.auth.tokens import signer_of
from serve.middleware.admin_records import (
    CLIENT_GONE,
    REFUSALS_OF_ONE_PER_MIN,
    recordable,
)
from serve.sample_data import DEMO_ADMIN
from tests.http_app import START_MS, World, bearer, open_world

CATEGORIES = "/api/v1/categories"


async def records(stores: Stores) -> list[AdminRecord]:
    """Oldest first."""
    rows, _ = await stores.admin_records.list(actor=None, limit=100, cursor=None)
    return rows[::-1]


def service(world: World) -> dict[str, str]:
    signer = signer_of(world.settings)
    return bearer(signer.issue(subject="svc_warehouse", role=Role.SERVICE, now_ms=START_MS, ttl_s=60))


async def short(world: World) -> list[tuple[str, str, str, int]]:
    return [(row.role, row.method, row.route, row.status) for row in await records(world.stores)]


@pytest.fixture
async def admin(world: World) -> dict[str, str]:
    headers = await world.admin()
    world.stores.admin_records.rows.clear()  # type: ignore[attr-defined] # of the login
    return headers


async def test_a_record_says_who_when_what_and_from_where(world: World, admin: dict[str, str]) -> None:
    headers = {**admin, "X-Request-Id": "request-7"}
    answer = await world.client.put(f"{CATEGORIES}/audio?x=1", json={"name": "Audio"}, headers=headers)
    assert answer.status_code == 422
    account = await world.stores.users.by_email(DEMO_ADMIN.email)
    assert account is not None
    (row,) = await records(world.stores)
    assert row == AdminRecord(
        id=row.id,
        at_ms=START_MS,
        actor=account.id,
        role="admin",
        method="PUT",
        route="/api/v1/categories/{category_id}",
        path="/api/v1/categories/audio",
        status=422,
        request_id="request-7",
        address="127.0.0.1",
    )


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"json": {"name": "Audio"}}, 201),
        ({"json": {"name": ""}}, 422),
        ({"json": {"name": "Audio", "role": "admin"}}, 422),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ({"content": b"<x/>", "headers": {"Content-Type": "text/xml"}}, 415),
    ],
)
async def test_whatever_became_of_it_is_recorded(
    world: World, admin: dict[str, str], request_: dict[str, Any], status: int
) -> None:
    headers = {**admin, **request_.pop("headers", {})}
    assert (await world.client.post(CATEGORIES, **request_, headers=headers)).status_code == status
    assert await short(world) == [("admin", "POST", CATEGORIES, status)]


async def test_a_conflict_and_a_crash_are_recorded(
    world: World, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        await world.client.post(CATEGORIES, json={"name": "Audio"}, headers=admin)

    async def crash(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("persistence.memory.catalog.MemoryCatalog.delete_category", crash)
    with structlog.testing.capture_logs():
        await world.client.delete(f"{CATEGORIES}/audio", headers=admin)
    assert [row.status for row in await records(world.stores)] == [201, 409, 500]


async def test_reads_leave_none(world: World, admin: dict[str, str]) -> None:
    for path in ("/api/v1/users/profile", "/api/v1/admin/users", "/api/v1/admin/audit"):
        assert (await world.client.get(path, headers=admin)).status_code == 200
        assert (await world.client.head(path, headers=admin)).status_code == 200
    assert await records(world.stores) == []


async def test_a_service_leaves_records_too(world: World, admin: dict[str, str]) -> None:
    del admin
    await world.client.post(CATEGORIES, json={"name": "Audio"}, headers=service(world))
    await world.client.post("/api/v1/inventory/X-1/release", json={}, headers=service(world))
    assert [(row.actor, row.role, row.status) for row in await records(world.stores)] == [
        ("svc_warehouse", "service", 403),
        ("svc_warehouse", "service", 422),
    ]


async def test_a_customer_is_recorded_only_when_refused(world: World, admin: dict[str, str]) -> None:
    del admin
    customer = await world.customer()
    await world.client.put("/api/v1/users/profile", json={"first_name": "A", "last_name": "B"}, headers=customer)
    await world.client.post(CATEGORIES, json={"name": "Audio"}, headers=customer)
    await world.client.get("/api/v1/admin/users", headers=customer)
    await world.client.post(CATEGORIES, json={"name": "Audio"})
    assert await short(world) == [
        ("customer", "POST", CATEGORIES, 403),
        ("customer", "GET", "/api/v1/admin/users", 403),
    ]


async def test_an_administrators_login_is_recorded(world: World) -> None:
    await world.admin()
    await world.customer()
    await world.login(DEMO_ADMIN.email, "wrong")
    assert await short(world) == [("admin", "POST", "/api/v1/auth/login", 200)]


async def test_nobody_fills_the_store_by_knocking(world: World, admin: dict[str, str]) -> None:
    del admin
    customer = await world.customer()
    for _ in range(REFUSALS_OF_ONE_PER_MIN + 5):
        assert (await world.client.post(CATEGORIES, headers=customer)).status_code == 403
    assert len(await records(world.stores)) == REFUSALS_OF_ONE_PER_MIN
    world.clock.advance(120_000)
    await world.client.post(CATEGORIES, headers=customer)
    assert len(await records(world.stores)) == REFUSALS_OF_ONE_PER_MIN + 1


async def test_many_accounts_together_do_not_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve.middleware.admin_records.REFUSALS_OF_ALL_PER_MIN", 20)
    async with open_world(tmp_path, limits_enabled=False) as world:
        signer = signer_of(world.settings)
        for number in range(25):
            token = signer.issue(subject=f"svc_{number}", role=Role.SERVICE, now_ms=START_MS, ttl_s=60)
            assert (await world.client.get("/api/v1/admin/users", headers=bearer(token))).status_code == 403
        assert len(world.stores.admin_records.rows) == 20  # type: ignore[attr-defined]


@pytest.mark.parametrize("fault", [StoreUnavailable("down"), OutcomeUnknown("no answer")])
async def test_a_record_that_cannot_be_stored_is_logged_and_the_answer_stands(
    world: World, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    async def refuse(*_: object) -> None:
        raise fault

    monkeypatch.setattr("persistence.memory.admin_records.MemoryAdminRecords.add", refuse)
    with structlog.testing.capture_logs() as logs:
        answer = await world.client.post(CATEGORIES, json={"name": "Audio"}, headers=admin)
    assert answer.status_code == 201
    (lost,) = [entry for entry in logs if entry["event"] == "admin_record.not_stored"]
    assert lost["log_level"] == "error"
    assert (lost["route"], lost["status"], lost["role"]) == (CATEGORIES, 201, "admin")


async def test_a_caller_who_hangs_up_does_not_go_unseen(
    world: World, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work = asyncio.Event()

    async def hang(*_: object) -> None:
        at_work.set()
        await asyncio.Event().wait()

    kept = asyncio.Event()
    add: Callable[[Any, AdminRecord], Awaitable[None]] = type(world.stores.admin_records).add

    async def add_and_tell(self: object, record: AdminRecord) -> None:
        await add(self, record)
        kept.set()

    monkeypatch.setattr("persistence.memory.catalog.MemoryCatalog.save_category", hang)
    monkeypatch.setattr("persistence.memory.admin_records.MemoryAdminRecords.add", add_and_tell)
    request = asyncio.create_task(world.client.post(CATEGORIES, json={"name": "Audio"}, headers=admin))
    await at_work.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    async with asyncio.timeout(5):
        await kept.wait()
    assert await short(world) == [("admin", "POST", CATEGORIES, CLIENT_GONE)]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/api/v1/orders/ord_k3v9q1x7m2c8b5n4t6w0y1za/ship", "/api/v1/orders/ord_k3v9q1x7m2c8b5n4t6w0y1za/ship"),
        ("/api/v1/cart/ada@example.com/items", "/api/v1/cart/***/items"),
        ("/api/v1/cart/eyJhbGciOi.J9.x/items", "/api/v1/cart/***/items"),
        ("/api/v1/cart/rt_abc", "/api/v1/cart/***"),
        ("/api/v1/payments/tok_ok", "/api/v1/payments/***"),
        ("/api/v1/orders/a b\n/ship", "/api/v1/orders/***/ship"),
        ("/" + "x" * 129, "/***"),
    ],
)
def test_a_path_is_recorded_without_what_is_no_id(path: str, shown: str) -> None:
    assert recordable(path) == shown
    assert len(recordable("/x" * 10_000)) == 512


async def test_records_are_listed_to_administrators_a_page_at_a_time(world: World, admin: dict[str, str]) -> None:
    for name in ("One", "Two", "Three"):
        await world.client.post(CATEGORIES, json={"name": name}, headers={**admin, "X-Request-Id": name})
    first = (await world.client.get("/api/v1/admin/audit?limit=2", headers=admin)).json()
    cursor = first["meta"]["nextCursor"]
    rest = (await world.client.get(f"/api/v1/admin/audit?limit=2&cursor={cursor}", headers=admin)).json()
    assert [row["requestId"] for row in (*first["data"], *rest["data"])] == ["Three", "Two", "One"]
    assert rest["meta"]["nextCursor"] is None
    assert set(first["data"][0]) == {
        "id", "at", "actor", "role", "method", "route", "path", "status", "requestId", "address",
    }  # fmt: skip
    mine = first["data"][0]["actor"]
    of_mine = (await world.client.get(f"/api/v1/admin/audit?actor={mine}", headers=admin)).json()
    assert len(of_mine["data"]) == 3
    of_nobody = (await world.client.get("/api/v1/admin/audit?actor=usr_0", headers=admin)).json()
    assert of_nobody["data"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "cursor=x", "actor=", "actor=a%20b", "who=x", "actor=%00"])
async def test_a_bad_question_is_422(world: World, admin: dict[str, str], query: str) -> None:
    answer = await world.client.get(f"/api/v1/admin/audit?{query}", headers=admin)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-fields")


async def test_a_record_has_neither_body_nor_query_nor_token(world: World, admin: dict[str, str]) -> None:
    body = {"name": "canary-body", "canary-field": 1}
    await world.client.post(f"{CATEGORIES}?canary-query=1", json=body, headers=admin)
    kept = msgspec.json.encode(await records(world.stores)).decode()
    assert "canary" not in kept
    assert admin["Authorization"].partition(" ")[2] not in kept
    assert "@" not in kept
