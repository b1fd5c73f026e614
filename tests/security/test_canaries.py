"""What must stay secret is in no answer, no log and no event."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import structlog

from tests.http_app import World, bearer
from tests.shop_world import ADDRESS, PRICE, Headers, Shop, open_shop

CANARY = "canary-Pa55word"


async def test_a_password_is_never_repeated(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    bodies = [
        {"email": "c@example.com", "password": CANARY * 10, "first_name": "A", "last_name": "B"},
        {"email": "c@example.com", "password": [CANARY], "first_name": "A", "last_name": "B"},
        {"email": CANARY, "password": CANARY, "first_name": "A", "last_name": "B"},
        {"email": "c@example.com", "password": CANARY, "first_name": "A", "last_name": "B"},
    ]
    for body in bodies:
        answer = await world.client.post("/api/v1/auth/register", json=body)
        assert CANARY not in answer.text
    broken = await world.client.post(
        "/api/v1/auth/login", content=f'{{"password":"{CANARY}'.encode(), headers={"Content-Type": "application/json"}
    )
    assert broken.status_code == 400
    assert CANARY not in broken.text
    seen = capsys.readouterr()
    assert CANARY not in seen.out + seen.err


async def test_a_crash_logs_neither_the_body_nor_the_token(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def crash(_self: object, _key: str) -> None:
        raise RuntimeError(f"could not look up {CANARY}")

    monkeypatch.setattr("persistence.memory.users.MemoryUsers.by_email", crash)
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as logs:
        answer = await world.login("c@example.com", CANARY)
    assert answer.status_code == 500
    assert [entry["event"] for entry in logs] == ["request_failed"]
    assert logs[0]["error"] == "RuntimeError"
    seen = capsys.readouterr()
    assert CANARY not in str(logs) + answer.text + seen.out + seen.err + caplog.text


async def test_the_store_has_only_hashes(world: World) -> None:
    session = await world.register("c@example.com", CANARY)
    user = await world.stores.users.by_email("c@example.com")
    assert user is not None
    assert CANARY not in msgspec.json.encode(user).decode()
    assert user.password_hash.startswith("$2b$")
    again = await world.client.get("/api/v1/users/profile", headers=bearer(session["token"]))
    assert "hash" not in again.text


@dataclass
class Told:
    """Everything that a journey was answered and left behind, but what is meant to hold the secrets."""

    answers: list[httpx.Response] = field(default_factory=list)

    async def ask(self, shop: Shop, method: str, path: str, body: object = None, headers: Headers | None = None) -> Any:
        content = body if isinstance(body, bytes) else None
        answer = await shop.client.request(
            method, path, content=content, json=None if content is not None else body,
            headers={"Content-Type": "application/json", **(headers or {})},
        )  # fmt: skip
        self.answers.append(answer)
        return answer.json()


MAIL, GUEST_MAIL = "canary-mail@example.com", "canary-guest@example.com"
PAYMENT_TOKEN = "tok_canary_payment"
JOURNALED_WITH_SECRETS = {"order.created", "order.payment_attempted"}
"""What the order has to know to go on after a crash: whom to tell, and what it was about to charge. Nothing that is
published may carry these fields."""


async def journey(shop: Shop, told: Told) -> list[str]:
    """An account, a guest and an administrator, with everything that may go wrong; returns the tokens they had."""
    names = {"first_name": "A", "last_name": "B"}
    account = {"email": MAIL, "password": CANARY, **names}
    session = await told.ask(shop, "POST", "/api/v1/auth/register", account)
    own = bearer(session["token"])
    user = session["user"]["id"]
    for body in (
        {"email": MAIL, "password": CANARY + "-wrong"},
        {"email": [MAIL], "password": CANARY},
        {"email": MAIL, "password": CANARY, "role": CANARY},
        f'{{"email":"{MAIL}","password":"{CANARY}'.encode(),
    ):
        await told.ask(shop, "POST", "/api/v1/auth/login", body)
    await told.ask(shop, "POST", "/api/v1/auth/register", account)
    card = {"type": "card", "token": PAYMENT_TOKEN}
    order = {"shippingAddress": ADDRESS, "items": [{"sku": "LAPTOP-001", "quantity": 1}]}
    declined = await told.ask(shop, "POST", "/api/v1/orders", {**order, "userId": user, "paymentMethod": card}, own)
    await told.ask(shop, "GET", f"/api/v1/orders/{declined['orderId']}/history", headers=own)
    pending = await told.ask(shop, "POST", "/api/v1/orders", {**order, "userId": user}, own)
    pay = {"orderId": pending["id"], "amount": PRICE, "currency": "USD", "method": card}
    await told.ask(shop, "POST", "/api/v1/payments", pay, own)
    await told.ask(shop, "POST", "/api/v1/payments", {**pay, "amount": PAYMENT_TOKEN}, own)
    await told.ask(shop, "GET", f"/api/v1/orders/{pending['id']}/history", headers=own)
    await told.ask(shop, "POST", "/api/v1/orders", {**order, "userId": "guest-1", "email": GUEST_MAIL})
    await told.ask(shop, "POST", "/api/v1/orders", {**order, "userId": GUEST_MAIL, "email": GUEST_MAIL})
    renewed = await told.ask(shop, "POST", "/api/v1/auth/refresh", {"refresh_token": session["refresh_token"]})
    change = {"current_password": CANARY, "new_password": CANARY + "-2"}
    await told.ask(shop, "POST", "/api/v1/users/change-password", change, own)
    await told.ask(shop, "POST", f"/api/v1/orders/{MAIL}/ship?token={session['token']}", account, shop.admin)
    await told.ask(shop, "POST", f"/api/v1/inventory/{session['token']}/adjust", account, shop.admin)
    await told.ask(shop, "GET", "/api/v1/users/profile", headers=bearer(session["token"] + "x"))
    await told.ask(shop, "GET", "/health")
    return [session["token"], session["refresh_token"], renewed["token"], renewed["refresh_token"]]


async def test_no_secret_of_a_whole_journey_is_anywhere_it_should_not_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = Told()
    async with open_shop(tmp_path, http_log_requests=True) as shop:
        tokens = await journey(shop, told)
        secrets = [CANARY, MAIL, GUEST_MAIL, PAYMENT_TOKEN, *tokens]
        # All but `instance`: that is the path that was asked for, and some of these have secrets in it.
        problems = [str({**answer.json(), "instance": ""}) for answer in told.answers if answer.status_code >= 400]
        assert len(problems) >= 10
        records, _ = await shop.stores.admin_records.list(actor=None, limit=100, cursor=None)
        assert len(records) >= 2
        left = {
            "problems": "".join(problems),
            "histories": "".join(answer.text for answer in told.answers if "/history" in str(answer.url)),
            "metrics": (await shop.client.get("/metrics")).text,
            "admin records": msgspec.json.encode(records).decode(),
        }
        for name, outbox in shop.stores.outboxes.items():
            left[f"outbox of {name}"] = msgspec.json.encode([row.event for row in await outbox.read(100)]).decode()
            left[f"outbox of {name}"] += "".join(row.event.body.decode() for row in await outbox.read(100))
        for service, journal in shop.stores.journals.items():
            events = [event for head in await journal.heads() for event in await journal.read(head.shard, 0, 1_000)]
            assert events
            left[f"journal of {service}"] = "".join(
                event.body.decode() for event in events if event.type not in JOURNALED_WITH_SECRETS
            )
    seen = capsys.readouterr()
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("http")]
    left["logs"] = seen.out + seen.err + "".join(ours)
    assert "/api/v1/orders" in left["logs"], "the requests were logged"
    found = [(place, secret) for place, text in left.items() for secret in secrets if secret in text]
    assert found == []
