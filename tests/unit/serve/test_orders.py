"""Orders over HTTP, on the real entities."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from cluster.errors import DeadlineExceeded, OutcomeUnknown
from serve.deps import EntityReply
from tests.http_app import FakeRefs, open_world
from tests.shop_world import ADDRESS, CARD, PRICE, Shop, eventually, open_shop

ITEMS = [{"sku": "LAPTOP-001", "quantity": 1}]


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


async def test_a_cart_is_ordered_and_paid(shop: Shop) -> None:
    account = await shop.account()
    await shop.add(account.id, account.headers, quantity=2)
    answer = await shop.place(account.id, account.headers, paymentMethod=CARD, expectedTotal=2599.98)
    order = answer.json()
    assert answer.status_code == 201
    assert (order["status"], order["total"], order["userId"]) == ("confirmed", 2599.98, account.id)
    assert (answer.headers["location"], answer.headers["etag"]) == (f"/api/v1/orders/{order['id']}", '"2"')
    assert order["allowedTransitions"] == ["shipped", "cancelled"]
    assert order["shippingAddress"] == {**ADDRESS, "line2": None, "phone": None}

    async def settled() -> bool:
        cart = (await shop.client.get(f"/api/v1/cart/{account.id}", headers=account.headers)).json()
        return (await shop.stock())["onHand"] == 8 and not cart["items"]

    await eventually(settled)
    seen = await shop.client.get(f"/api/v1/orders/{order['id']}", headers=account.headers)
    assert seen.json() == order


async def test_orders_are_listed_newest_first_with_what_was_just_answered(shop: Shop) -> None:
    account = await shop.account()
    placed = [(await shop.buy(account))["id"] for _ in range(3)]
    listed = (await shop.client.get("/api/v1/orders", params={"userId": account.id}, headers=account.headers)).json()
    assert {order["id"] for order in listed["data"]} == set(placed)
    times = [order["createdAt"] for order in listed["data"]]
    assert times == sorted(times, reverse=True)
    await shop.client.post(f"/api/v1/orders/{placed[1]}/cancel", headers=account.headers)
    by_status = await shop.client.get("/api/v1/orders", params={"status": "cancelled"}, headers=account.headers)
    assert [order["id"] for order in by_status.json()["data"]] == [placed[1]]
    first = (await shop.client.get("/api/v1/orders", params={"limit": 2}, headers=account.headers)).json()
    params = {"limit": 2, "cursor": first["meta"]["nextCursor"]}
    second = (await shop.client.get("/api/v1/orders", params=params, headers=account.headers)).json()
    assert [order["id"] for order in first["data"] + second["data"]] == [order["id"] for order in listed["data"]]
    assert second["meta"]["nextCursor"] is None


@pytest.mark.parametrize("query", ["status=unknown", "limit=0", "cursor=nonsense", "userId=a%20b", "sku=1"])
async def test_bad_list_queries_are_422(shop: Shop, query: str) -> None:
    account = await shop.account()
    assert problem(await shop.client.get(f"/api/v1/orders?{query}", headers=account.headers)) == (422, "invalid-fields")


async def test_a_guest_orders_with_an_email_and_reads_it_by_its_cart(shop: Shop) -> None:
    await shop.add("user_123")
    order = (await shop.place("user_123", paymentMethod=CARD)).json()
    path = f"/api/v1/orders/{order['id']}"
    assert (await shop.client.get(path, headers={"X-Cart-Id": "user_123"})).json() == order
    assert problem(await shop.client.get(path)) == (404, "not-found")
    assert problem(await shop.client.get(path, headers={"X-Cart-Id": "user_124"})) == (404, "not-found")
    nameless = await shop.place("user_123", email=None)
    assert (problem(nameless), nameless.json()["errors"][0]["pointer"]) == ((422, "invalid-fields"), "/email")


async def test_a_decline_names_the_order_and_gives_the_stock_back(shop: Shop) -> None:
    account = await shop.account()
    declined = await shop.place(
        account.id, account.headers, items=ITEMS, paymentMethod={"type": "card", "token": "tok_declined"}
    )
    assert problem(declined) == (402, "payment-declined")
    order = (await shop.client.get(f"/api/v1/orders/{declined.json()['orderId']}", headers=account.headers)).json()
    assert (order["status"], order["allowedTransitions"]) == ("payment_failed", [])
    assert (await shop.stock())["available"] == 10


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"items": [{"sku": "LAPTOP-001", "quantity": 11}]}, (409, "insufficient-stock")),
        ({"items": [{"sku": "NONE", "quantity": 1}]}, (422, "unknown-sku")),
        ({}, (409, "empty-cart")),
        ({"items": ITEMS, "expectedTotal": 1.00}, (409, "price-changed")),
    ],
)
async def test_refusals_leave_no_order(shop: Shop, changes: dict[str, Any], expected: tuple[int, str]) -> None:
    account = await shop.account()
    assert problem(await shop.place(account.id, account.headers, **changes)) == expected
    assert (await shop.client.get("/api/v1/orders", headers=account.headers)).json()["data"] == []
    assert (await shop.stock())["reserved"] == 0


async def test_a_changed_price_is_told_with_the_new_total(shop: Shop) -> None:
    await shop.add("user_123")
    await shop.reprice(1199.99)
    refused = await shop.place("user_123", paymentMethod=CARD)
    assert (problem(refused), refused.json()["total"]) == ((409, "price-changed"), 1199.99)
    assert '"total":1199.99' in refused.text
    cart = (await shop.client.get("/api/v1/cart/user_123")).json()
    assert cart["problems"] == [{"code": "price-changed", "sku": "LAPTOP-001", "was": PRICE, "now": 1199.99}]
    assert cart["subtotal"] == 1199.99
    assert (await shop.place("user_123", paymentMethod=CARD)).json()["total"] == 1199.99


@pytest.mark.parametrize(
    "changes",
    [
        {"items": []},
        {"items": [{"sku": "LAPTOP-001", "quantity": 0}]},
        {"items": [{"sku": "LAPTOP-001", "quantity": 2**31}]},
        {"items": [{"sku": "LAPTOP-001", "quantity": 1, "price": 0.01}]},
        {"items": ITEMS, "total": 0.01},
        {"items": ITEMS, "status": "confirmed"},
        {"items": ITEMS, "id": "ord_1"},
        {"items": ITEMS, "shippingAddress": {**ADDRESS, "country": "XX"}},
        {"items": ITEMS, "shippingAddress": {**ADDRESS, "country": "usa"}},
        {"items": ITEMS, "shippingAddress": {**ADDRESS, "name": "x" * 101}},
        {"items": ITEMS, "shippingAddress": {"name": "A"}},
        {"items": ITEMS, "expectedTotal": "1.00"},
        {"items": ITEMS, "expectedTotal": 1.001},
        {"items": ITEMS, "expectedTotal": -1},
        {"items": ITEMS, "paymentMethod": {"type": "card"}},
        {"items": ITEMS, "userId": {"$ne": None}},
        {"items": ITEMS, "email": "nobody"},
        {"items": [{"sku": "LAPTOP-001", "quantity": 1}] * 101},
    ],
)
async def test_unacceptable_orders_are_422(shop: Shop, changes: dict[str, Any]) -> None:
    account = await shop.account()
    body = {"userId": account.id, "shippingAddress": ADDRESS, **changes}
    answer = await shop.client.post("/api/v1/orders", json=body, headers=account.headers)
    assert problem(answer) == (422, "invalid-fields")


async def test_a_key_names_one_order(shop: Shop) -> None:
    account = await shop.account()
    headers = {**account.headers, "Idempotency-Key": "order-1"}
    first, *repeats = await asyncio.gather(
        *(shop.place(account.id, headers, items=ITEMS, paymentMethod=CARD) for _ in range(5))
    )
    later = await shop.place(account.id, headers, items=ITEMS, paymentMethod=CARD)
    assert {answer.content for answer in (first, *repeats, later)} == {first.content}
    assert (later.status_code, later.headers["idempotent-replayed"]) == (201, "true")
    assert (await shop.stock())["available"] == 9
    other = await shop.place(account.id, headers, items=[{"sku": "LAPTOP-001", "quantity": 2}], paymentMethod=CARD)
    assert problem(other) == (422, "idempotency-key-reused")
    mine = await shop.account("b@example.com")
    theirs = await shop.place(mine.id, {**mine.headers, "Idempotency-Key": "order-1"}, items=ITEMS)
    assert theirs.json()["id"] != first.json()["id"]


async def test_a_repeat_after_changes_has_the_same_bytes(shop: Shop) -> None:
    account = await shop.account()
    headers = {**account.headers, "Idempotency-Key": "order-1"}
    first = await shop.place(account.id, headers, items=ITEMS, paymentMethod=CARD)
    path = f"/api/v1/orders/{first.json()['id']}"
    await shop.client.post(f"{path}/ship", json={"carrier": "DHL"}, headers=shop.admin)
    again = await shop.place(account.id, headers, items=ITEMS, paymentMethod=CARD)
    assert again.content == first.content


async def test_a_declined_order_is_declined_again(shop: Shop) -> None:
    account = await shop.account()
    headers = {**account.headers, "Idempotency-Key": "order-1"}
    body: dict[str, Any] = {"items": ITEMS, "paymentMethod": {"type": "card", "token": "tok_declined"}}
    first = await shop.place(account.id, headers, **body)
    again = await shop.place(account.id, headers, **body)
    assert (first.content, again.headers["idempotent-replayed"]) == (again.content, "true")


async def test_ship_and_deliver(shop: Shop) -> None:
    order = await shop.buy(account := await shop.account())
    path = f"/api/v1/orders/{order['id']}"
    assert problem(await shop.client.post(f"{path}/deliver", headers=shop.admin)) == (409, "illegal-transition")
    shipped = await shop.client.post(
        f"{path}/ship", json={"carrier": "DHL", "trackingNumber": "1Z"}, headers=shop.admin
    )
    assert (shipped.status_code, shipped.json()["status"]) == (200, "shipped")
    assert shipped.json()["shipment"]["trackingNumber"] == "1Z"
    late = await shop.client.post(f"{path}/cancel", headers=account.headers)
    assert (problem(late), late.json()["allowed"]) == ((409, "illegal-transition"), ["delivered"])
    assert (late.json()["status"], late.json()["currentStatus"]) == (409, "shipped")
    delivered = await shop.client.post(f"{path}/deliver", headers=shop.admin)
    assert delivered.json()["status"] == "delivered"
    assert delivered.json()["shipment"]["deliveredAt"]


async def test_cancel_refunds_and_returns_before_it_answers(shop: Shop) -> None:
    order = await shop.buy(account := await shop.account(), 3)
    answer = await shop.client.post(
        f"/api/v1/orders/{order['id']}/cancel", json={"reason": "changed my mind"}, headers=account.headers
    )
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert (await shop.stock())["available"] == 10
    payment = (await shop.client.get(f"/api/v1/payments/{order['paymentId']}", headers=account.headers)).json()
    assert (payment["status"], payment["refunded"]) == ("refunded", payment["captured"])


@pytest.mark.parametrize("action", ["ship", "deliver", "cancel"])
async def test_actions_are_replayed_by_their_key(shop: Shop, action: str) -> None:
    path = f"/api/v1/orders/{(await shop.buy(await shop.account()))['id']}"
    if action == "deliver":
        await shop.client.post(f"{path}/ship", headers=shop.admin)
    headers = {**shop.admin, "Idempotency-Key": "k"}
    first = await shop.client.post(f"{path}/{action}", headers=headers)
    again = await shop.client.post(f"{path}/{action}", headers=headers)
    assert first.status_code == 200
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    if action == "ship":
        other = await shop.client.post(f"{path}/ship", json={"carrier": "UPS"}, headers=headers)
        assert problem(other) == (422, "idempotency-key-reused")
    assert problem(await shop.client.post(f"{path}/{action}", headers=shop.admin)) == (409, "illegal-transition")


async def test_the_history_tells_who_did_what_and_no_secrets(shop: Shop) -> None:
    order = await shop.buy(account := await shop.account())
    path = f"/api/v1/orders/{order['id']}"
    await shop.client.post(f"{path}/ship", json={"carrier": "DHL"}, headers=shop.admin)
    answer = await shop.client.get(f"{path}/history", headers=account.headers)
    history = answer.json()["data"]
    assert [event["type"] for event in history] == ["order.created", "order.confirmed", "order.shipped"]
    assert [event["version"] for event in history] == [1, 2, 3]
    assert (history[0]["actor"], history[0]["data"]["total"]) == (account.id, PRICE)
    assert (history[1]["actor"], history[2]["data"]["carrier"]) == ("system", "DHL")
    assert history[2]["actor"].startswith("usr_")
    assert "tok_ok" not in answer.text
    assert "@" not in answer.text


async def test_past_the_deadline_a_durable_order_is_202_and_settles(tmp_path: Path) -> None:
    async with open_shop(tmp_path, orders_place_timeout_ms=600) as shop:
        account = await shop.account()
        headers = {**account.headers, "Idempotency-Key": "slow"}
        body: dict[str, Any] = {"items": ITEMS, "paymentMethod": {"type": "card", "token": "tok_timeout_succeeds"}}
        answer = await shop.place(account.id, headers, **body)
        assert (answer.status_code, answer.json()["status"]) == (202, "pending")
        path = answer.headers["location"]

        async def confirmed() -> bool:
            order = (await shop.client.get(path, headers=account.headers)).json()
            return bool(order["status"] == "confirmed")

        await eventually(confirmed)
        again = await shop.place(account.id, headers, **body)
        assert (again.status_code, again.json()["status"]) == (201, "confirmed")


@pytest.mark.parametrize("fault", [OutcomeUnknown(), DeadlineExceeded()])
async def test_an_unknown_outcome_asks_for_the_same_key(tmp_path: Path, fault: Exception) -> None:
    async with open_world(tmp_path) as world:
        assert isinstance(world.refs, FakeRefs)
        world.refs.answer = lambda _asked: fault
        body = {"userId": "user_123", "email": "g@example.com", "shippingAddress": ADDRESS, "items": ITEMS}
        answer = await world.client.post("/api/v1/orders", json=body, headers={"Idempotency-Key": "mine"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["idempotencyKey"] == "mine"
        made = await world.client.post("/api/v1/orders", json=body)
        assert len(made.json()["idempotencyKey"]) >= 32
        keys = [asked.idempotency.key for asked in world.refs.asked if asked.idempotency is not None]
        assert keys == ["mine", made.json()["idempotencyKey"]]


async def test_a_superseded_attempt_is_503(tmp_path: Path) -> None:
    from actors.domain.decision import Rejected

    async with open_world(tmp_path) as world:
        world.refs.answer = lambda _asked: EntityReply(reply=Rejected("attempt-over", "The placement took too long."))
        body = {"userId": "user_123", "email": "g@example.com", "shippingAddress": ADDRESS, "items": ITEMS}
        answer = await world.client.post("/api/v1/orders", json=body)
        assert problem(answer) == (503, "try-again")
        assert answer.headers["retry-after"] == "1"
