"""What must stay secret is in no answer, no log and no event."""

import logging

import msgspec
import pytest
import structlog

from tests.http_app import World, bearer

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


async def test_what_an_admin_changes_is_recorded(world: World) -> None:
    admin = await world.admin()
    with structlog.testing.capture_logs() as logs:
        await world.client.post("/api/v1/categories", json={"name": "Audio"}, headers=admin)
        await world.client.get("/api/v1/users/profile", headers=admin)
    records = [entry for entry in logs if entry["event"] == "admin_action"]
    assert [(entry["method"], entry["path"], entry["status"]) for entry in records] == [
        ("POST", "/api/v1/categories", 201)
    ]
    assert records[0]["actor"].startswith("usr_")
    assert admin["Authorization"] not in str(logs)


async def test_the_store_has_only_hashes(world: World) -> None:
    session = await world.register("c@example.com", CANARY)
    user = await world.stores.users.by_email("c@example.com")
    assert user is not None
    assert CANARY not in msgspec.json.encode(user).decode()
    assert user.password_hash.startswith("$2b$")
    again = await world.client.get("/api/v1/users/profile", headers=bearer(session["token"]))
    assert "hash" not in again.text
