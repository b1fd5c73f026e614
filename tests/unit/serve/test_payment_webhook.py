"""The gateway's callbacks: signed ones are hints, all others nothing at all."""

import itertools
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from actors.domain.decision import Rejected
from actors.domain.order import PaymentNews
from actors.registry import ENTITY_TYPES
from cluster.errors import Overloaded
from serve.deps import EntityReply
from tests.gateway_callbacks import PATH, event, headers, secret_of, signature
from tests.http_app import World, open_world
from tests.shop_world import CARD, Shop, eventually, open_shop

ORDER = "ord_" + "a" * 24
KEY = f"{ORDER}:capture:1"
EVENT = event(KEY)
SECRET = "s3cret-of-the-endpoint-with-32-bytes"
ITEMS = [{"sku": "LAPTOP-001", "quantity": 1}]
LATER_MS = 3_600_000


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


async def call(world: World, body: bytes, **changes: Any) -> httpx.Response:
    sent = headers(body, secret_of(world.settings.data_dir), **changes)
    return await world.client.post(PATH, content=body, headers=sent)


# --- who may call ------------------------------------------------------------------------------------


async def test_a_signed_event_is_passed_on_as_news_and_nothing_else(world: World) -> None:
    answer = await call(world, event(KEY, amount=1, status="canceled", currency="xxx"))
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    (asked,) = world.refs.asked
    assert (asked.entity_type, asked.entity_id, asked.command) == ("order", ORDER, PaymentNews(key=KEY))
    assert asked.actor == "gateway"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "t=1",
        "v1=00",
        "t=x,v1=00",
        "t=1,v1",
        ",,,",
        "t=1" + "0" * 5_000 + ",v1=00",
        "t=1,v1=\u00e9".encode("latin-1"),
        f"t={int(time.time())},v1=" + "0" * 64,
        signature(EVENT, "another secret"),
        signature(event(KEY, "charge.failed"), SECRET),
        signature(EVENT, SECRET, age_s=301),
        signature(EVENT, SECRET, scheme="v0"),
    ],
    ids=itertools.count(),  # the time is in some
)
async def test_without_a_signature_that_holds_nothing_happens(tmp_path: Path, header: Any) -> None:
    async with open_world(tmp_path, payments_webhook_secret=SECRET) as world:
        sent = {"Content-Type": "application/json"} | ({} if header is None else {"Stripe-Signature": header})
        assert problem(await world.client.post(PATH, content=EVENT, headers=sent)) == (400, "invalid-signature")
        assert world.refs.asked == []


async def test_signatures_are_of_this_body_and_not_older_than_five_minutes(tmp_path: Path) -> None:
    async with open_world(tmp_path, payments_webhook_secret=SECRET) as world:

        async def answered(body: bytes, header: str) -> int:
            sent = {"Content-Type": "application/json", "Stripe-Signature": header}
            return (await world.client.post(PATH, content=body, headers=sent)).status_code

        assert await answered(EVENT, signature(EVENT, SECRET)) == 200
        assert await answered(EVENT, signature(EVENT, SECRET, age_s=290)) == 200
        assert await answered(EVENT, signature(EVENT, SECRET, age_s=310)) == 400
        assert await answered(EVENT, signature(EVENT, SECRET, scheme="v0")) == 400
        assert await answered(EVENT + b" ", signature(EVENT, SECRET)) == 400
        assert await answered(b"\xff" + EVENT, signature(EVENT, SECRET)) == 400
        assert await answered(EVENT, signature(EVENT, SECRET + "x")) == 400
        # While a secret is being replaced, Stripe signs with both.
        both = signature(EVENT, "the-secret-that-was-before-this-one") + "," + signature(EVENT, SECRET).split(",")[1]
        assert await answered(EVENT, both) == 200


async def test_a_secret_in_a_file_counts(tmp_path: Path) -> None:
    secret = "s3cret-of-the-endpoint-in-a-file-of-its-own"
    (tmp_path / "whsec").write_text(f"{secret}\n")
    async with open_world(tmp_path / "data", payments_webhook_secret_file=tmp_path / "whsec") as world:
        answer = await world.client.post(PATH, content=EVENT, headers=headers(EVENT, secret))
        assert answer.status_code == 200


async def test_production_without_a_secret_hears_nobody(tmp_path: Path) -> None:
    async with open_world(tmp_path, env="production") as world:
        for secret in ("", "none", "None"):
            answer = await world.client.post(PATH, content=EVENT, headers=headers(EVENT, secret))
            assert problem(answer) == (400, "invalid-signature")
        assert not (tmp_path / "secrets" / "payments-webhook").exists()


def test_a_short_secret_is_refused(tmp_path: Path) -> None:
    from tests.http_app import settings_for_tests

    with pytest.raises(ValueError, match="STAMPEDE_PAYMENTS_WEBHOOK_SECRET"):
        settings_for_tests(tmp_path, payments_webhook_secret="short")


async def test_a_burst_is_not_limited(tmp_path: Path) -> None:
    async with open_world(tmp_path, limits_requests_per_10s=3) as world:
        assert {(await call(world, EVENT)).status_code for _ in range(10)} == {200}


# --- what is sent ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        event(KEY, "payment_intent.created"),
        event(KEY, "customer.created"),
        event(KEY, "charge.refunded"),
        event("somebody's own metadata"),
        event("ord_1:capture:1"),
        event(KEY + "x" * 200),
        event(KEY, metadata={}),
        event(KEY, metadata=None),
        event(KEY, metadata={"gateway_key": 1}),
        event(KEY, metadata=["gateway_key"]),
        b'{"type":"payment_intent.succeeded"}',
        b'{"type":"payment_intent.succeeded","data":{"object":null}}',
        b'{"type":["payment_intent.succeeded"],"data":{"object":{}}}',
        b"[]",
        b"1",
        b"null",
    ],
)
async def test_events_that_are_not_about_a_payment_of_ours_are_received_and_ignored(world: World, body: bytes) -> None:
    answer = await call(world, body)
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert world.refs.asked == []


@pytest.mark.parametrize("body", [b"{", b"", b'{"type":', b'{"a":' * 50_000, b'{"a":' + b"[" * 50_000])
async def test_what_is_not_json_is_400_though_it_is_signed(world: World, body: bytes) -> None:
    assert problem(await call(world, body)) == (400, "malformed-json")


async def test_other_media_and_long_bodies_are_refused(world: World) -> None:
    secret = secret_of(world.settings.data_dir)
    sent = {**headers(EVENT, secret), "Content-Type": "text/plain"}
    assert problem(await world.client.post(PATH, content=EVENT, headers=sent)) == (415, "unsupported-media-type")
    long = event(KEY, description="x" * 1_100_000)
    assert problem(await call(world, long)) == (413, "body-too-large")
    assert problem(await world.client.get(PATH)) == (401, "unauthenticated")


async def test_an_order_that_does_not_exist_is_no_reason_to_send_it_again(world: World) -> None:
    world.refs.answer = lambda _asked: EntityReply(reply=Rejected("order-not-found"))
    assert (await call(world, EVENT)).status_code == 200


async def test_an_order_that_cannot_be_told_is_and_the_gateway_comes_again(world: World) -> None:
    world.refs.answer = lambda _asked: Overloaded("full")
    answer = await call(world, EVENT)
    assert (problem(answer), "retry-after" in answer.headers) == ((503, "overloaded"), True)


# --- what comes of it --------------------------------------------------------------------------------


async def silent_order(shop: Shop, token: str) -> dict[str, Any]:
    """An order whose charge was made, or declined, without an answer."""
    placed = await shop.place("user_123", items=ITEMS, paymentMethod={**CARD, "token": token})
    assert placed.status_code == 202, placed.text
    order = dict(placed.json())

    async def delayed() -> bool:
        return "PaymentDelayed" in await journaled(shop, order["id"])

    await eventually(delayed)
    return order


async def journaled(shop: Shop, order_id: str) -> list[str]:
    """What happened to it."""
    row = (await shop.stores.orders.load([order_id]))[order_id]
    events = await shop.stores.journals["orders"].read_at(row.shard, row.seqs)
    decode = ENTITY_TYPES["order"].events.decode
    return [type(decode(found.type, found.schema_version, found.body)).__name__ for found in events]


async def tell(shop: Shop, body: bytes) -> int:
    sent = headers(body, secret_of(shop.settings.data_dir))
    return (await shop.client.post(PATH, content=body, headers=sent)).status_code


async def status_of(shop: Shop, order: dict[str, Any]) -> str:
    return str((await shop.client.get(f"/api/v1/orders/{order['id']}", headers=shop.admin)).json()["status"])


@pytest.fixture
async def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    """A shop whose orders, once they have heard nothing, ask the gateway again in an hour."""
    monkeypatch.setattr("actors.domain.order_rules.ASK_GATEWAY_FIRST_MS", LATER_MS)
    monkeypatch.setattr("actors.domain.order_rules.ASK_GATEWAY_MAX_MS", LATER_MS)
    async with open_shop(tmp_path, orders_place_timeout_ms=300) as opened:
        yield opened


async def test_news_make_the_order_ask_at_once(patient: Shop) -> None:
    order = await silent_order(patient, "tok_timeout_succeeds")
    body = event(f"{order['id']}:capture:1")
    assert await tell(patient, body) == 200

    async def confirmed() -> bool:
        return await status_of(patient, order) == "confirmed"

    await eventually(confirmed)
    before = await journaled(patient, order["id"])
    for late in (body, body, event(f"{order['id']}:capture:1", "payment_intent.payment_failed")):
        assert await tell(patient, late) == 200
    assert await journaled(patient, order["id"]) == before
    assert before.count("OrderConfirmed") == 1


async def test_the_gateway_is_believed_and_not_the_event(patient: Shop) -> None:
    order = await silent_order(patient, "tok_timeout_declines")
    stock = await patient.stock()
    assert await tell(patient, event(f"{order['id']}:capture:1", status="succeeded", amount_received=129_999)) == 200

    async def failed() -> bool:
        return await status_of(patient, order) == "payment_failed"

    await eventually(failed)

    async def given_back() -> bool:
        return bool((await patient.stock())["available"] == stock["available"] + 1)

    await eventually(given_back)


async def test_news_of_another_attempt_or_order_change_nothing(patient: Shop) -> None:
    order = await silent_order(patient, "tok_timeout_succeeds")
    before = await journaled(patient, order["id"])
    for key in (f"{order['id']}:capture:2", f"{order['id']}:refund:1", order["id"], KEY):
        assert await tell(patient, event(key)) == 200
    assert await journaled(patient, order["id"]) == before
