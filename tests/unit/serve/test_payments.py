"""Payments over HTTP, on the real entities."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.shop_world import CARD, PRICE, Account, Shop, eventually, open_shop

ITEMS = [{"sku": "LAPTOP-001", "quantity": 1}]


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


async def unpaid(shop: Shop, account: Account) -> dict[str, Any]:
    answer = await shop.place(account.id, account.headers, items=ITEMS)
    assert (answer.status_code, answer.json()["status"], answer.json()["paymentId"]) == (201, "pending", None)
    return dict(answer.json())


async def pay(shop: Shop, order: dict[str, Any], headers: dict[str, str], **changes: Any) -> httpx.Response:
    body = {"orderId": order["id"], "amount": PRICE, "currency": "USD", "method": CARD, **changes}
    return await shop.client.post("/api/v1/payments", json=body, headers=headers)


async def test_an_order_is_paid_later(shop: Shop) -> None:
    account = await shop.account()
    order = await unpaid(shop, account)
    answer = await pay(shop, order, account.headers)
    payment = answer.json()
    assert answer.status_code == 201, answer.text
    assert (payment["status"], payment["amount"], payment["captured"]) == ("captured", PRICE, PRICE)
    assert (payment["refunded"], payment["method"]) == (0.00, {"type": "card", "last4": "4242"})
    assert answer.headers["location"] == f"/api/v1/payments/{payment['id']}"
    assert (await shop.client.get(answer.headers["location"], headers=account.headers)).json() == payment
    paid = (await shop.client.get(f"/api/v1/orders/{order['id']}", headers=account.headers)).json()
    assert (paid["status"], paid["paymentId"]) == ("confirmed", payment["id"])
    assert problem(await pay(shop, order, account.headers)) == (409, "already-paid")


async def test_a_payment_is_replayed_by_its_key(shop: Shop) -> None:
    account = await shop.account()
    order = await unpaid(shop, account)
    headers = {**account.headers, "Idempotency-Key": "pay-1"}
    first = await pay(shop, order, headers)
    await shop.client.post(f"/api/v1/payments/{first.json()['id']}/refund", json={"amount": 1}, headers=shop.admin)
    again = await pay(shop, order, headers)
    assert (again.status_code, again.content, again.headers["idempotent-replayed"]) == (201, first.content, "true")
    assert problem(await pay(shop, order, headers, amount=1)) == (422, "idempotency-key-reused")


async def test_a_decline_is_402_for_good(shop: Shop) -> None:
    account = await shop.account()
    order = await unpaid(shop, account)
    declined = await pay(shop, order, account.headers, method={"type": "card", "token": "tok_insufficient_funds"})
    assert (problem(declined), declined.json()["orderId"]) == ((402, "payment-declined"), order["id"])
    assert problem(await pay(shop, order, account.headers)) == (409, "illegal-transition")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"amount": 1}, (409, "amount-mismatch")),
        ({"currency": "EUR"}, (409, "amount-mismatch")),
        ({"amount": -1}, (422, "invalid-fields")),
        ({"amount": "1"}, (422, "invalid-fields")),
        ({"orderId": "ord_1"}, (422, "invalid-fields")),
        ({"orderId": "ord_" + "a" * 24}, (404, "not-found")),
        ({"captured": 1}, (422, "invalid-fields")),
        ({"method": {"type": "paypal", "token": "tok_ok"}}, (422, "invalid-fields")),
        ({"method": {"type": "card"}}, (422, "invalid-fields")),
        ({"method": {"type": "card", "token": ""}}, (422, "invalid-fields")),
        ({"method": {"type": "card", "token": "tok ok"}}, (422, "invalid-fields")),
        ({"method": {"type": "card", "token": "x" * 256}}, (422, "invalid-fields")),
        ({"method": {"type": "card", "token": "tok_ok", "number": "4242"}}, (422, "invalid-fields")),
        ({"method": None}, (422, "invalid-fields")),
    ],
)
async def test_unacceptable_payments(shop: Shop, changes: dict[str, Any], expected: tuple[int, str]) -> None:
    account = await shop.account()
    order = await unpaid(shop, account)
    assert problem(await pay(shop, order, account.headers, **changes)) == expected


async def test_a_method_is_a_card_unless_it_says_otherwise(shop: Shop) -> None:
    account = await shop.account()
    paid = await pay(shop, await unpaid(shop, account), account.headers, method={"token": "tok_ok"})
    assert (paid.status_code, paid.json()["method"]) == (201, {"type": "card", "last4": "4242"})


async def test_what_a_token_stands_for_is_in_no_answer(shop: Shop) -> None:
    account = await shop.account()
    order = await unpaid(shop, account)
    answers = [
        await pay(shop, order, account.headers, method={"token": "tok_canary"}),
        await shop.client.get(f"/api/v1/payments/pay_{order['id'][4:]}", headers=account.headers),
        await shop.client.get(f"/api/v1/orders/{order['id']}", headers=account.headers),
        await shop.client.get(f"/api/v1/orders/{order['id']}/history", headers=account.headers),
    ]
    assert [answer.status_code for answer in answers] == [402, 200, 200, 200]
    assert "canary" not in "".join(answer.text for answer in answers)


async def test_others_can_neither_pay_nor_see_nor_refund(shop: Shop) -> None:
    owner, other = await shop.account(), await shop.account("eve@example.com")
    order = await unpaid(shop, owner)
    assert problem(await pay(shop, order, other.headers)) == (404, "not-found")
    paid = (await pay(shop, order, owner.headers)).json()
    path = f"/api/v1/payments/{paid['id']}"
    assert problem(await shop.client.get(path, headers=other.headers)) == (404, "not-found")
    for headers in (owner.headers, other.headers):
        assert problem(await shop.client.post(f"{path}/refund", headers=headers)) == (403, "forbidden")
    assert problem(await shop.client.post(f"{path}/refund")) == (401, "unauthenticated")


async def test_a_guest_pays_with_its_cart_id(shop: Shop) -> None:
    order = (await shop.place("user_123", items=ITEMS)).json()
    assert problem(await pay(shop, order, {})) == (404, "not-found")
    assert problem(await pay(shop, order, {"X-Cart-Id": "user_124"})) == (404, "not-found")
    assert (await pay(shop, order, {"X-Cart-Id": "user_123"})).status_code == 201


async def test_a_service_pays_for_anybody(shop: Shop) -> None:
    order = await unpaid(shop, await shop.account())
    assert (await pay(shop, order, shop.service)).status_code == 201


async def test_refunds_add_up_to_what_was_captured(shop: Shop) -> None:
    account = await shop.account()
    order = await shop.buy(account)
    path = f"/api/v1/payments/{order['paymentId']}/refund"
    part = await shop.client.post(path, json={"amount": 300}, headers=shop.service)
    assert (part.status_code, part.json()["status"], part.json()["refunded"]) == (200, "partially_refunded", 300)
    over = await shop.client.post(path, json={"amount": 1000}, headers=shop.admin)
    assert problem(over) == (409, "over-captured")
    assert '"left":999.99' in over.text
    rest = await shop.client.post(path, headers=shop.admin)
    assert (rest.json()["status"], rest.json()["refunded"]) == ("refunded", PRICE)
    assert problem(await shop.client.post(path, headers=shop.admin)) == (409, "over-captured")
    for amount in (0, -1, "1", 1.001):
        assert problem(await shop.client.post(path, json={"amount": amount}, headers=shop.admin))[0] == 422


async def test_what_the_currency_does_not_have_is_not_refunded(tmp_path: Path) -> None:
    async with open_shop(tmp_path, catalog_currency="JPY") as shop:
        order = await shop.buy(await shop.account())
        path = f"/api/v1/payments/{order['paymentId']}/refund"
        half = await shop.client.post(path, json={"amount": 0.5}, headers=shop.admin)
        assert problem(half) == (422, "invalid-fields")
        assert [error["pointer"] for error in half.json()["errors"]] == ["/amount"]
        whole = await shop.client.post(path, json={"amount": 1}, headers=shop.admin)
        assert (whole.status_code, whole.json()["refunded"]) == (200, 1)


async def test_a_refund_is_replayed_as_it_was(shop: Shop) -> None:
    order = await shop.buy(await shop.account())
    path = f"/api/v1/payments/{order['paymentId']}/refund"
    headers = {**shop.admin, "Idempotency-Key": "refund-1"}
    first = await shop.client.post(path, json={"amount": 300}, headers=headers)
    await shop.client.post(path, json={"amount": 100}, headers=shop.admin)
    again = await shop.client.post(path, json={"amount": 300}, headers=headers)
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert problem(await shop.client.post(path, json={"amount": 1}, headers=headers)) == (422, "idempotency-key-reused")
    now = await shop.client.get(path.removesuffix("/refund"), headers=shop.admin)
    assert now.json()["refunded"] == 400


async def test_refunds_at_once_never_give_back_more_than_was_captured(shop: Shop) -> None:
    order = await shop.buy(await shop.account())
    path = f"/api/v1/payments/{order['paymentId']}/refund"
    answers = await asyncio.gather(
        *(shop.client.post(path, json={"amount": 300}, headers=shop.admin) for _ in range(6))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 409, 409]
    seen = (await shop.client.get(path.removesuffix("/refund"), headers=shop.admin)).json()
    assert (seen["status"], seen["refunded"]) == ("partially_refunded", 1_200)
    ledger = await shop.stores.ledger.find([f"{order['id']}:refund:{n}" for n in range(1, 7)])
    assert [row.amount_minor for row in ledger.values()] == [30_000] * 4


async def test_one_key_at_once_is_one_refund(shop: Shop) -> None:
    order = await shop.buy(await shop.account())
    path = f"/api/v1/payments/{order['paymentId']}/refund"
    headers = {**shop.admin, "Idempotency-Key": "once"}
    answers = await asyncio.gather(*(shop.client.post(path, json={"amount": 300}, headers=headers) for _ in range(5)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
    seen = (await shop.client.get(path.removesuffix("/refund"), headers=shop.admin)).json()
    assert seen["refunded"] == 300


async def test_what_was_not_paid_or_is_cancelled_is_not_refunded(shop: Shop) -> None:
    account = await shop.account()
    order = await shop.buy(account)
    path = f"/api/v1/payments/{order['paymentId']}/refund"
    await shop.client.post(path, json={"amount": 300}, headers=shop.admin)
    await shop.client.post(f"/api/v1/orders/{order['id']}/cancel", headers=account.headers)
    refused = await shop.client.post(path, json={"amount": 1}, headers=shop.admin)
    assert problem(refused) == (409, "illegal-transition")
    seen = (await shop.client.get(path.removesuffix("/refund"), headers=shop.admin)).json()
    assert (seen["status"], seen["refunded"]) == ("refunded", PRICE)
    declined = await unpaid(shop, account)
    await pay(shop, declined, account.headers, method={"token": "tok_declined"})
    path = f"/api/v1/payments/pay_{declined['id'][4:]}/refund"
    assert problem(await shop.client.post(path, headers=shop.admin)) == (409, "illegal-transition")


async def test_while_the_gateway_is_silent_an_order_is_not_paid_otherwise(tmp_path: Path) -> None:
    async with open_shop(tmp_path, orders_place_timeout_ms=300, gateway_timeout_ms=3_000) as shop:
        account = await shop.account()
        order = await unpaid(shop, account)
        method = {"type": "card", "token": "tok_timeout_succeeds"}
        assert (await pay(shop, order, account.headers, method=method)).status_code == 202
        assert problem(await pay(shop, order, account.headers)) == (409, "payment-in-progress")
        refund = f"/api/v1/payments/pay_{order['id'][4:]}/refund"
        assert problem(await shop.client.post(refund, headers=shop.admin)) == (409, "illegal-transition")


@pytest.mark.parametrize(
    ("token", "code"),
    [("tok_timeout_declines", "payment-declined"), ("tok_error_once", None), ("tok_what", "payment-declined")],
)
async def test_each_token_comes_to_its_end(shop: Shop, token: str, code: str | None) -> None:
    account = await shop.account()
    answer = await pay(shop, await unpaid(shop, account), account.headers, method={"token": token})
    if code is None:
        assert (answer.status_code, answer.json()["status"]) == (201, "captured")
    else:
        assert problem(answer) == (402, code)


async def test_a_full_refund_after_delivery_ends_the_order(shop: Shop) -> None:
    order = await shop.buy(await shop.account())
    for action in ("ship", "deliver"):
        await shop.client.post(f"/api/v1/orders/{order['id']}/{action}", headers=shop.admin)
    await shop.client.post(f"/api/v1/payments/{order['paymentId']}/refund", headers=shop.admin)
    seen = (await shop.client.get(f"/api/v1/orders/{order['id']}", headers=shop.admin)).json()
    assert (seen["status"], seen["allowedTransitions"]) == ("refunded", [])


@pytest.mark.parametrize("payment_id", ["pay_1", "pay_" + "a" * 24, "ord_" + "a" * 24])
async def test_an_unknown_payment_is_404(shop: Shop, payment_id: str) -> None:
    assert problem(await shop.client.get(f"/api/v1/payments/{payment_id}", headers=shop.admin)) == (404, "not-found")
    refund = await shop.client.post(f"/api/v1/payments/{payment_id}/refund", headers=shop.admin)
    assert problem(refund) == (404, "not-found")


async def test_a_silent_gateway_leaves_a_payment_that_settles(tmp_path: Path) -> None:
    async with open_shop(tmp_path, orders_place_timeout_ms=600) as shop:
        account = await shop.account()
        order = await unpaid(shop, account)
        method = {"type": "card", "token": "tok_timeout_succeeds"}
        answer = await pay(shop, order, account.headers, method=method)
        assert (answer.status_code, answer.json()["status"]) == (202, "pending")

        async def captured() -> bool:
            payment = (await shop.client.get(answer.headers["location"], headers=account.headers)).json()
            return bool(payment["status"] == "captured")

        await eventually(captured)


async def test_an_attempt_without_a_word_of_the_gateway_is_pending(tmp_path: Path) -> None:
    async with open_shop(tmp_path, gateway_timeout_ms=3_000, orders_place_timeout_ms=600) as shop:
        account = await shop.account()
        method = {"type": "card", "token": "tok_timeout_succeeds"}
        order = (await shop.place(account.id, account.headers, items=ITEMS, paymentMethod=method)).json()
        payment = (await shop.client.get(f"/api/v1/payments/{order['paymentId']}", headers=account.headers)).json()
        assert (payment["status"], payment["captured"], payment["amount"]) == ("pending", 0.0, PRICE)
