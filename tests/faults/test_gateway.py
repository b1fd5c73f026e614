"""A gateway that is silent, and calls back: in time, twice, late, and with lies."""

import asyncio
from typing import Final

import httpx
import pytest

from tests.gateway_callbacks import PATH, event, headers, secret_of
from tests.live_platform import LivePlatform, until
from tests.live_shop import Json, LiveShop, expect, new_cart, settles

pytestmark = [pytest.mark.ray, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(120)]

ORDERS: Final = 12
UNITS: Final = 3
FAILED: Final = "payment_intent.payment_failed"
CALLBACKS: Final = ((1, "payment_intent.succeeded"), (1, FAILED), (1, FAILED), (2, "payment_intent.succeeded"))
"""Attempt and event; nobody made a second attempt."""


async def test_silence_then_callbacks_end_in_one_capture_or_none(platform: LivePlatform, shop: LiveShop) -> None:
    secret = secret_of(platform.folder.path)
    paid, declined = await shop.new_sku(UNITS * ORDERS), await shop.new_sku(UNITS * ORDERS)
    tokens = {paid: "tok_timeout_succeeds", declined: "tok_timeout_declines"}
    carts = {new_cart(): sku for sku in tokens for _ in range(ORDERS)}
    placing = asyncio.gather(
        *(shop.order({sku: UNITS}, cart_id=cart, token=tokens[sku], key=f"k-{cart}") for cart, sku in carts.items())
    )
    orders = await _durable(platform, list(carts))

    async def call(key: str, type_: str) -> httpx.Response:
        # What it says is wrong as often as right: the order asks the gateway, and believes that.
        body = event(key, type_, status="succeeded", amount=1)
        return await shop.client.post(f"{platform.url}{PATH}", content=body, headers=headers(body, secret))

    rounds = 0
    while not placing.done():
        told = [call(f"{id_}:capture:{n}", type_) for id_ in orders.values() for n, type_ in CALLBACKS]
        assert {answer.status_code for answer in await asyncio.gather(*told)} == {200}
        rounds += 1
    assert rounds > 1, "nobody called while the gateway was silent: the test is void"
    forged = await shop.client.post(f"{platform.url}{PATH}", content=event("x"), headers=headers(event("x"), "guess"))
    assert (forged.status_code, forged.json()["code"]) == (400, "invalid-signature")

    answers = dict(zip(carts, await placing, strict=True))
    for cart, sku in carts.items():
        assert answers[cart].status_code == (201 if sku == paid else 402), answers[cart].text
    for sku, left in ((paid, 0), (declined, UNITS * ORDERS)):

        async def stock(sku: str = sku) -> Json:
            return await shop.stock(sku)

        await settles(stock, lambda found, left=left: (found["onHand"], found["reserved"]) == (left, 0), 10)  # type: ignore[misc]
    late = [call(f"{order_id}:capture:1", FAILED) for order_id in orders.values()]
    assert {answer.status_code for answer in await asyncio.gather(*late)} == {200}
    for cart, sku in carts.items():
        order = expect(await shop.get_order(orders[cart], cart), 200)
        assert order["status"] == ("confirmed" if sku == paid else "payment_failed")
    platform.audit()


async def _durable(platform: LivePlatform, carts: list[str]) -> dict[str, str]:
    """The order of each of these carts, once it is in the store."""
    async with platform.database() as connection:
        question = "SELECT user_id, id FROM orders.orders_view WHERE user_id = ANY($1)"

        async def all_stored() -> bool:
            return len(await connection.fetch(question, carts)) == len(carts)

        await until(all_stored, 8, "every order in the store")
        return {row["user_id"]: row["id"] for row in await connection.fetch(question, carts)}
