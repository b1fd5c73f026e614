"""On the real platform: secrets are nowhere but where they belong, and administrators are made at the command line."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serve.node_plan import NodePlan
from tests.live_platform import LivePlatform, until
from tests.live_shop import ADDRESS, LiveShop, bearer, expect

pytestmark = [pytest.mark.ray, pytest.mark.postgres]

NONCE = secrets.token_hex(4)
PASSWORD = f"canary-Pa55word-{NONCE}"
MAIL = f"canary-{NONCE}@example.com"
PAYMENT_TOKEN = f"tok_canary_{NONCE}"
PUBLISHED = [
    "SELECT body FROM users.outbox",
    "SELECT body FROM carts.outbox",
    "SELECT body FROM catalog.outbox",
    "SELECT body FROM inventory.journal",
    "SELECT body FROM payments.journal",
    # What an order must know to go on after a crash; tests/security/test_canaries.py says more.
    "SELECT body FROM orders.journal WHERE type NOT IN ('order.created', 'order.payment_attempted')",
]


async def test_no_secret_is_in_logs_events_or_records(platform: LivePlatform, shop: LiveShop) -> None:
    account = {"email": MAIL, "password": PASSWORD, "first_name": "A", "last_name": "B"}
    session = expect(await shop.client.post("/auth/register", json=account), 201)
    own = bearer(session)
    sku = await shop.new_sku(5)
    for body in ({**account, "password": [PASSWORD]}, {"email": MAIL, "password": PASSWORD + "x"}):
        answer = await shop.client.post("/auth/login", json=body)
        assert answer.status_code in {401, 422}
        assert PASSWORD not in answer.text
    order = {
        "userId": session["user"]["id"],
        "items": [{"sku": sku, "quantity": 1}],
        "shippingAddress": ADDRESS,
        "paymentMethod": {"type": "card", "token": PAYMENT_TOKEN},
    }
    declined = await shop.client.post("/orders", json=order, headers=own)
    assert declined.status_code == 402
    assert PAYMENT_TOKEN not in declined.text
    history = await shop.client.get(f"/orders/{declined.json()['orderId']}/history", headers=own)
    assert PAYMENT_TOKEN not in history.text
    change = {"current_password": PASSWORD, "new_password": PASSWORD + "-2"}
    expect(await shop.client.post("/users/change-password", json=change, headers=own), 200)
    refused = await shop.client.post(f"/orders/{MAIL}/ship", json=account, headers=shop.admin)
    assert refused.status_code == 422

    canaries = [PASSWORD, MAIL, PAYMENT_TOKEN, session["token"], session["refresh_token"]]
    left = {str(path): path.read_text(errors="replace") for path in logs_of(platform)}
    assert len(left) > 5
    async with platform.database() as connection:
        for statement in PUBLISHED:
            left[statement] = "".join(row["body"].decode() for row in await connection.fetch(statement))
        records = await connection.fetch("SELECT * FROM users.admin_records ORDER BY id DESC LIMIT 100")
        left["admin records"] = str([dict(record) for record in records])
    assert "/api/v1/orders/***/ship" in left["admin records"]
    found = [(place, canary) for place, text in left.items() for canary in canaries if canary in text]
    assert found == []


def logs_of(platform: LivePlatform) -> Iterator[Path]:
    plan = NodePlan.load(platform.folder.run_dir)
    assert plan is not None
    for folder in (platform.folder.logs_dir, Path(plan.temp_dir) / "session_latest" / "logs"):
        yield from (path for path in folder.rglob("*") if path.is_file())


async def test_an_administrator_is_made_and_unmade_while_the_platform_runs(
    platform: LivePlatform, shop: LiveShop
) -> None:
    email = f"chief-{NONCE}@example.com"
    made = platform.command("admin", "create", email, "--generate")
    assert made.returncode == 0, made.stderr
    password = next(line.removeprefix("password: ") for line in made.stdout.splitlines() if "password: " in line)
    login = {"email": email, "password": password}
    chief = bearer(expect(await shop.client.post("/auth/login", json=login), 200))
    listed = expect(await shop.client.get("/admin/users", params={"email": email}, headers=chief), 200)
    assert [(user["email"], user["role"]) for user in listed["data"]] == [(email, "admin")]

    again = platform.command("admin", "create", email, "--generate")
    assert (again.returncode, again.stderr.count("\n")) == (1, 1), again.stderr
    assert platform.command("admin", "revoke", email).returncode == 0

    async def refused() -> bool:
        return (await shop.client.get("/admin/users", headers=chief)).status_code == 401

    assert await until(refused, 2, "an administrator's token from before ends within a second") < 2
    customer = bearer(expect(await shop.client.post("/auth/login", json=login), 200))
    assert (await shop.client.get("/admin/users", headers=customer)).status_code == 403

    audit = expect(await shop.client.get("/admin/audit", params={"limit": 100}, headers=shop.admin), 200)
    account_id = listed["data"][0]["id"]
    of_chief: list[Any] = [
        (row["route"], row["status"]) for row in audit["data"] if account_id in (row["path"], row["actor"])
    ]
    assert of_chief[::-1] == [
        ("admin create", 201),
        ("/api/v1/auth/login", 200),
        ("admin revoke", 200),
        ("/api/v1/admin/users", 403),
    ]
