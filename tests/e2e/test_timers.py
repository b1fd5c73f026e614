"""What ends by itself ends on time."""

import asyncio
from datetime import datetime

import pytest

from tests.live_platform import LivePlatform
from tests.live_shop import LiveShop, expect, settles

pytestmark = [pytest.mark.ray, pytest.mark.postgres]

LATE_MAX_MS = 1_000


async def test_a_reservation_ends_within_a_second_of_its_time(shop: LiveShop, platform: LivePlatform) -> None:
    sku = await shop.new_sku(5)
    body = {"quantity": 5, "orderId": "elsewhere-1", "ttlSeconds": 2}
    reserved = expect(await shop.client.post(f"/inventory/{sku}/reserve", json=body, headers=shop.admin), 201)
    assert (await shop.order({sku: 1})).json()["code"] == "insufficient-stock"
    await settles(lambda: shop.stock(sku), lambda found: found["available"] == 5, 2 + 1 + 1)
    due_ms = round(datetime.fromisoformat(reserved["expiresAt"]).timestamp() * 1000)
    async with platform.database() as connection:
        ended_ms = await connection.fetchval(
            "SELECT at_ms FROM inventory.journal WHERE entity_id = $1 AND type = 'stock.reservation_expired'", sku
        )
    assert 0 <= ended_ms - due_ms <= LATE_MAX_MS
    again = await shop.client.post(
        f"/inventory/{sku}/release", json={"reservationId": reserved["reservationId"]}, headers=shop.admin
    )
    assert again.status_code in {200, 404}
    assert (await shop.stock(sku))["available"] == 5
    expect(await shop.order({sku: 5}), 201)


async def test_many_reservations_that_end_at_once_all_end_on_time(shop: LiveShop) -> None:
    skus = [await shop.new_sku(20) for _ in range(3)]

    async def reserve(sku: str, n: int) -> None:
        body = {"quantity": 1, "orderId": f"elsewhere-{n}", "ttlSeconds": 2}
        expect(await shop.client.post(f"/inventory/{sku}/reserve", json=body, headers=shop.admin), 201)

    await asyncio.gather(*(reserve(sku, n) for sku in skus for n in range(20)))
    for sku in skus:
        await settles(lambda sku=sku: shop.stock(sku), lambda found: found["available"] == 20, 5)  # type: ignore[misc]
