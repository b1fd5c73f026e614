"""The whole shop in one process, paid for through Stripe's adapter at a local Stripe: money on both sides agrees."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from actors.audit.facts import DRAINED
from actors.audit.run import audit
from actors.gateway.stripe_calls import StripeCalls, open_calls
from actors.gateway.stripe_gateway import StripeGateway
from actors.registry import ENTITY_TYPES
from persistence.memory.tables import MemoryTables
from persistence.records import OrderRow
from persistence.stores import open_memory_audit_reads
from tests.gateway_callbacks import PATH, event, headers, secret_of
from tests.servers.localstripe import DECLINED, OK, WANTS_ITS_OWNER, DeafCalls, LocalStripe, localstripe
from tests.shop_world import PRICE, Shop, eventually, open_shop, wall_ms

__all__ = ["localstripe"]

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # of httpx, to Stripe's library
ITEMS = [{"sku": "LAPTOP-001", "quantity": 1}]
MINOR = 129_999


@dataclass
class PaidShop:
    """A shop, its Stripe, and the calls whose answers can be lost."""

    shop: Shop
    server: LocalStripe
    calls: DeafCalls
    tables: MemoryTables

    async def place(self, token: str | None = OK) -> httpx.Response:
        method = {} if token is None else {"paymentMethod": {"token": token}}
        return await self.shop.place("user_123", items=ITEMS, **method)

    async def order(self, order_id: str) -> dict[str, Any]:
        return dict((await self.shop.client.get(f"/api/v1/orders/{order_id}", headers=self.shop.admin)).json())

    async def becomes(self, order_id: str, status: str) -> None:
        async def has() -> bool:
            return bool((await self.order(order_id))["status"] == status)

        await eventually(has)

    async def unknown(self) -> str:
        """The order about whose payment nothing is known, once there is one."""
        rows = self.tables.journals["orders"].views.values()
        orders = [ENTITY_TYPES["order"].decode_state(row.state) for row in rows if isinstance(row, OrderRow)]
        return next((order.id for order in orders if order.payment and order.payment.status == "unknown"), "")

    async def refund(self, payment_id: str, amount: float) -> httpx.Response:
        path = f"/api/v1/payments/{payment_id}/refund"
        return await self.shop.client.post(path, json={"amount": amount}, headers=self.shop.admin)

    async def check(self) -> None:
        """I1 to I13, of which I4 and I5 are about money."""
        report = await audit(open_memory_audit_reads(wall_ms, self.tables), grace=DRAINED)
        assert report.breaches == ()
        assert report.checked["I5"] > 0


@pytest.fixture
async def paid(tmp_path: Path, localstripe: LocalStripe) -> AsyncIterator[PaidShop]:
    real: StripeCalls = open_calls(localstripe.key, localstripe.url, 10)
    calls, tables = DeafCalls(real), MemoryTables()
    try:
        async with open_shop(
            tmp_path,
            gateway_timeout_ms=5_000,
            gateway=lambda stores: StripeGateway(calls, stores.ledger, wall_ms),  # type: ignore[arg-type]
            tables=tables,
        ) as shop:
            opened = PaidShop(shop, localstripe, calls, tables)
            yield opened
            await opened.check()
    finally:
        await real.close()


async def test_an_order_is_paid_given_back_in_parts_and_cancelled(paid: PaidShop) -> None:
    placed = await paid.place()
    assert placed.status_code == 201, placed.text
    order = placed.json()
    assert paid.server.captured(order["id"]) == [MINOR]
    payment = (await paid.refund(order["paymentId"], 300)).json()
    assert (payment["status"], payment["refunded"], payment["method"]) == (
        "partially_refunded",
        300,
        {"type": "card", "last4": "4242"},
    )
    assert (await paid.refund(order["paymentId"], PRICE)).json()["code"] == "over-captured"
    cancelled = await paid.shop.client.post(f"/api/v1/orders/{order['id']}/cancel", headers=paid.shop.admin)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert sorted(paid.server.refunded(order["id"])) == [30_000, MINOR - 30_000]


@pytest.mark.parametrize(
    ("card", "reason"),
    [(DECLINED, "card_declined"), (WANTS_ITS_OWNER, "authentication_required"), ("x", "invalid_token")],
)
async def test_a_decline_is_402_and_leaves_nothing(paid: PaidShop, card: str, reason: str) -> None:
    stock = await paid.shop.stock()
    refused = await paid.place(paid.server.card(card) if card.isdigit() else card)
    assert (refused.status_code, refused.json()["code"], refused.json()["reason"]) == (402, "payment-declined", reason)
    assert paid.server.captured(refused.json()["orderId"]) == []
    assert (await paid.shop.stock())["available"] == stock["available"]


@pytest.mark.parametrize("lost", ["create_intent", "confirm_intent"])
async def test_a_charge_whose_answer_is_lost_is_found_and_not_made_again(paid: PaidShop, lost: str) -> None:
    paid.calls.lose = {lost}
    placed = await paid.place()
    assert (placed.status_code, placed.json()["status"]) == (201, "confirmed"), placed.text
    assert paid.calls.lose == set(), "nothing was lost: the test is void"
    assert paid.server.captured(placed.json()["id"]) == [MINOR]


async def test_a_refund_whose_answer_is_lost_is_found_and_not_made_again(paid: PaidShop) -> None:
    order = (await paid.place()).json()
    paid.calls.lose = {"create_refund"}
    payment = await paid.refund(order["paymentId"], 300)
    assert (payment.status_code, payment.json()["refunded"]) == (200, 300)
    assert paid.server.refunded(order["id"]) == [30_000]


async def test_a_callback_ends_the_wait_of_an_order_that_would_ask_in_an_hour(
    paid: PaidShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.domain.order_rules.ASK_GATEWAY_FIRST_MS", 3_600_000)
    monkeypatch.setattr("actors.domain.order_rules.ASK_GATEWAY_MAX_MS", 3_600_000)
    paid.calls.lose = {"confirm_intent"}
    placing = asyncio.create_task(paid.place())

    order_id = str(await eventually(paid.unknown))
    body = event(f"{order_id}:capture:1")
    began_s = time.monotonic()
    for _ in range(3):
        sent = headers(body, secret_of(paid.shop.settings.data_dir))
        assert (await paid.shop.client.post(PATH, content=body, headers=sent)).status_code == 200
    placed = await placing
    assert (placed.status_code, placed.json()["status"]) == (201, "confirmed")
    assert time.monotonic() - began_s < 5
    assert paid.server.captured(order_id) == [MINOR]


async def test_a_cancel_while_the_payment_is_unknown_ends_with_all_money_back(
    paid: PaidShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.domain.order_rules.ASK_GATEWAY_FIRST_MS", 3_600_000)
    unpaid = (await paid.place(None)).json()
    paid.calls.lose = {"confirm_intent"}
    body = {"orderId": unpaid["id"], "amount": PRICE, "currency": "USD", "method": {"token": OK}}
    paying = asyncio.create_task(
        paid.shop.client.post("/api/v1/payments", json=body, headers={"X-Cart-Id": "user_123"})
    )

    await eventually(paid.unknown)
    cancelled = await paid.shop.client.post(f"/api/v1/orders/{unpaid['id']}/cancel", headers=paid.shop.admin)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert (await paying).status_code in (201, 409)
    assert (paid.server.captured(unpaid["id"]), paid.server.refunded(unpaid["id"])) == ([MINOR], [MINOR])
