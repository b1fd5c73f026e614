"""Inventory over HTTP, on the real entities."""

from typing import Any

import httpx
import pytest

from tests.shop_world import Shop, eventually

SKU = "/api/v1/inventory/LAPTOP-001"
RESERVE = {"quantity": 3, "orderId": "external-1"}


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


async def test_everybody_sees_the_stock(shop: Shop) -> None:
    answer = await shop.client.get(SKU)
    assert answer.json() == {"sku": "LAPTOP-001", "onHand": 10, "reserved": 0, "available": 10, "version": 2}
    assert answer.headers["etag"] == '"2"'
    for sku in ("NONE", "LAPTOP-001-64", "$gt", "x" * 65):
        assert problem(await shop.client.get(f"/api/v1/inventory/{sku}")) == (404, "not-found")


async def test_units_are_reserved_and_released(shop: Shop) -> None:
    reserved = await shop.client.post(f"{SKU}/reserve", json=RESERVE, headers=shop.service)
    body = reserved.json()
    assert (reserved.status_code, body["sku"], body["quantity"]) == (201, "LAPTOP-001", 3)
    assert body["reservationId"].startswith("ext:")
    assert (await shop.stock())["available"] == 7
    release = {"reservationId": body["reservationId"]}
    released = await shop.client.post(f"{SKU}/release", json=release, headers=shop.service)
    assert (released.status_code, released.json()["available"], released.json()["reserved"]) == (200, 10, 0)
    assert (await shop.client.post(f"{SKU}/release", json=release, headers=shop.service)).status_code == 200
    assert (await shop.stock())["available"] == 10


async def test_no_more_than_there_is_can_be_reserved(shop: Shop) -> None:
    refused = await shop.client.post(f"{SKU}/reserve", json={**RESERVE, "quantity": 11}, headers=shop.service)
    assert (problem(refused), refused.json()["available"]) == ((409, "insufficient-stock"), 10)
    unknown = await shop.client.post("/api/v1/inventory/NONE/reserve", json=RESERVE, headers=shop.service)
    assert problem(unknown) == (404, "not-found")


@pytest.mark.parametrize(
    "changes",
    [
        {"quantity": 0},
        {"quantity": -1},
        {"quantity": 2**31},
        {"quantity": 1.5},
        {"quantity": True},
        {"ttlSeconds": 0},
        {"ttlSeconds": 3601},
        {"orderId": ""},
        {"orderId": {"$ne": None}},
        {"reservationId": "mine"},
    ],
)
async def test_unacceptable_reservations_are_422(shop: Shop, changes: dict[str, Any]) -> None:
    answer = await shop.client.post(f"{SKU}/reserve", json={**RESERVE, **changes}, headers=shop.service)
    assert problem(answer) == (422, "invalid-fields")


async def test_a_reservation_expires_by_itself(shop: Shop) -> None:
    await shop.client.post(f"{SKU}/reserve", json={**RESERVE, "ttlSeconds": 1}, headers=shop.service)
    assert (await shop.stock())["available"] == 7

    async def expired() -> bool:
        return bool((await shop.stock())["available"] == 10)

    await eventually(expired)


async def test_an_orders_reservation_is_the_orders(shop: Shop) -> None:
    account = await shop.account()
    items = [{"sku": "LAPTOP-001", "quantity": 1}]
    order = (await shop.place(account.id, account.headers, items=items)).json()
    release = {"reservationId": f"{order['id']}:LAPTOP-001"}
    held = await shop.client.post(f"{SKU}/release", json=release, headers=shop.admin)
    assert problem(held) == (409, "held-by-order")
    other = await shop.client.post("/api/v1/inventory/LAPTOP-001-32/release", json=release, headers=shop.admin)
    assert problem(other) == (404, "reservation-not-found")
    await shop.client.post(f"/api/v1/orders/{order['id']}/cancel", headers=account.headers)
    gone = await shop.client.post(f"{SKU}/release", json=release, headers=shop.admin)
    assert problem(gone) == (404, "reservation-not-found")


async def test_what_was_sold_is_not_released(shop: Shop) -> None:
    order = await shop.buy(await shop.account())

    async def committed() -> bool:
        return bool((await shop.stock())["reserved"] == 0)

    await eventually(committed)
    release = {"reservationId": f"{order['id']}:LAPTOP-001"}
    assert problem(await shop.client.post(f"{SKU}/release", json=release, headers=shop.admin)) == (
        409,
        "already-committed",
    )


async def test_only_an_id_that_this_sku_gave_out_is_released(shop: Shop) -> None:
    reserved = await shop.client.post(f"{SKU}/reserve", json=RESERVE, headers=shop.service)
    id_ = reserved.json()["reservationId"]
    for sku, wrong in (("LAPTOP-001-32", id_), ("LAPTOP-001", id_[:-1] + "x"), ("LAPTOP-001", id_.rpartition(".")[0])):
        path = f"/api/v1/inventory/{sku}/release"
        answer = await shop.client.post(path, json={"reservationId": wrong}, headers=shop.service)
        assert problem(answer) == (404, "reservation-not-found")
    assert (await shop.stock())["reserved"] == 3


async def test_a_key_of_another_release_is_told_before_the_id_is_judged(shop: Shop) -> None:
    reserved = await shop.client.post(f"{SKU}/reserve", json=RESERVE, headers=shop.service)
    headers = {**shop.service, "Idempotency-Key": "k"}
    release = {"reservationId": reserved.json()["reservationId"]}
    assert (await shop.client.post(f"{SKU}/release", json=release, headers=headers)).status_code == 200
    other = await shop.client.post(f"{SKU}/release", json={"reservationId": "ext:none.0"}, headers=headers)
    assert problem(other) == (422, "idempotency-key-reused")


@pytest.mark.parametrize("reservation", ["nothing", "ext:none", "ord_1:LAPTOP-001", "ord_" + "a" * 24 + ":LAPTOP-001"])
async def test_an_unknown_reservation_is_404(shop: Shop, reservation: str) -> None:
    answer = await shop.client.post(f"{SKU}/release", json={"reservationId": reservation}, headers=shop.admin)
    assert problem(answer) == (404, "reservation-not-found")


async def test_stock_is_adjusted_but_not_below_what_is_reserved(shop: Shop) -> None:
    await shop.client.post(f"{SKU}/reserve", json=RESERVE, headers=shop.service)
    refused = await shop.client.post(f"{SKU}/adjust", json={"delta": -8, "reason": "lost"}, headers=shop.admin)
    assert (problem(refused), refused.json()["reserved"]) == ((409, "below-reserved"), 3)
    answer = await shop.client.post(f"{SKU}/adjust", json={"delta": -7, "reason": "lost"}, headers=shop.admin)
    assert (answer.json()["onHand"], answer.json()["available"]) == (3, 0)


async def test_the_first_adjustment_makes_the_record_of_a_catalog_sku(shop: Shop) -> None:
    path = "/api/v1/inventory/LAPTOP-001-64"
    answer = await shop.client.post(f"{path}/adjust", json={"delta": 0, "reason": "new"}, headers=shop.admin)
    assert (answer.status_code, answer.json()["onHand"]) == (200, 0)
    assert (await shop.client.get(path)).json()["onHand"] == 0
    body = {"delta": 1, "reason": "new"}
    unknown = await shop.client.post("/api/v1/inventory/NONE/adjust", json=body, headers=shop.admin)
    assert problem(unknown) == (404, "not-found")


@pytest.mark.parametrize("body", [{"delta": 1}, {"delta": 1.5, "reason": "a"}, {"delta": 10**10, "reason": "a"}])
async def test_unacceptable_adjustments_are_422(shop: Shop, body: dict[str, Any]) -> None:
    assert problem(await shop.client.post(f"{SKU}/adjust", json=body, headers=shop.admin)) == (422, "invalid-fields")


@pytest.mark.parametrize(("action", "body"), [("reserve", RESERVE), ("adjust", {"delta": 5, "reason": "delivery"})])
async def test_changes_are_replayed_by_their_key(shop: Shop, action: str, body: dict[str, Any]) -> None:
    headers = {**shop.admin, "Idempotency-Key": "k"}
    first = await shop.client.post(f"{SKU}/{action}", json=body, headers=headers)
    again = await shop.client.post(f"{SKU}/{action}", json=body, headers=headers)
    assert "idempotent-replayed" not in first.headers
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    changed = {**body, "delta": 6} if action == "adjust" else {**body, "quantity": 4}
    other = await shop.client.post(f"{SKU}/{action}", json=changed, headers=headers)
    assert problem(other) == (422, "idempotency-key-reused")
    elsewhere = await shop.client.post(f"/api/v1/inventory/LAPTOP-001-32/{action}", json=body, headers=headers)
    assert elsewhere.status_code == first.status_code


async def test_an_added_item_is_replayed_by_its_key(shop: Shop) -> None:
    headers = {"Idempotency-Key": "k"}
    first = await shop.add("user_123", headers)
    await shop.reprice(1.00)
    again = await shop.add("user_123", headers)
    assert (again.status_code, again.content, again.headers["idempotent-replayed"]) == (201, first.content, "true")
    assert (await shop.add("user_124", headers)).json()["itemCount"] == 1
    assert problem(await shop.add("user_123", headers, quantity=2)) == (422, "idempotency-key-reused")
