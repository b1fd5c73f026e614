"""What Stripe's answers mean, told by its own library: declined, refused, or nobody knows."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import pytest
import stripe
import structlog

from actors.gateway.port import GatewayFault
from actors.gateway.stripe_calls import CardDeclined, RequestRefused, StripeCalls

KEY = "ord_a:capture:1"
API_KEY = "sk_test_canary"
Json = dict[str, Any]


class Scripted(stripe.HTTPClient):
    """Answers what a test says, and keeps what was sent."""

    name = "scripted"

    def __init__(self, *answers: tuple[int, Json] | Exception) -> None:
        super().__init__()
        self.answers = list(answers)
        self.sent: list[tuple[str, str, Mapping[str, str], dict[str, list[str]]]] = []

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, dict[str, str]]:
        self.sent.append((method, url, headers, parse_qs(post_data or "")))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, body = answer
        return json.dumps(body).encode(), status, {}

    async def close_async(self) -> None:
        """Nothing is open."""


def calls_over(http: Scripted) -> StripeCalls:
    client = stripe.StripeClient(API_KEY, http_client=http, max_network_retries=0)
    return StripeCalls(client, http)  # type: ignore[arg-type]


def error(status: int, **members: Any) -> tuple[int, Json]:
    return status, {"error": {"type": "invalid_request_error", **members}}


INTENT: Json = {"id": "pi_1", "object": "payment_intent", "status": "succeeded", "last_payment_error": None}


async def test_an_intent_is_created_unconfirmed_and_says_whose_it_is() -> None:
    http = Scripted((200, INTENT), (200, INTENT))
    calls = calls_over(http)
    assert await calls.create_intent(KEY, 1_299, "USD", "pm_1", "once") == "pi_1"
    await calls.create_intent(KEY, 1_299, "USD", "tok_visa", "once")
    method, url, headers, form = http.sent[0]
    assert (method, url.rpartition("/v1")[2], headers["Idempotency-Key"]) == ("post", "/payment_intents", "once")
    assert form == {
        "amount": ["1299"],
        "currency": ["usd"],
        "payment_method_types[0]": ["card"],
        "metadata[order_id]": ["ord_a"],
        "metadata[gateway_key]": [KEY],
        "payment_method": ["pm_1"],
    }
    by_token = http.sent[1][3]
    assert (by_token["payment_method_data[type]"], by_token["payment_method_data[card][token]"]) == (
        ["card"],
        ["tok_visa"],
    )
    assert "confirm" not in form


@pytest.mark.parametrize(
    ("code", "decline_code", "reason"),
    [
        ("card_declined", None, "card_declined"),
        ("card_declined", "insufficient_funds", "insufficient_funds"),
        ("card_declined", "stolen_card", "card_declined"),
        ("card_declined", "fraudulent", "card_declined"),
        ("expired_card", None, "expired_card"),
        ("incorrect_cvc", "incorrect_cvc", "incorrect_cvc"),
        ("authentication_required", "authentication_required", "authentication_required"),
        ("processing_error", "processing_error", "processing_error"),
        (None, None, "card_declined"),
    ],
)
async def test_a_declined_card_has_a_reason_that_may_be_shown(
    code: str | None, decline_code: str | None, reason: str
) -> None:
    declined = error(402, type="card_error", code=code, decline_code=decline_code, message="no")
    calls = calls_over(Scripted(declined))
    with pytest.raises(CardDeclined) as raised:
        await calls.confirm_intent("pi_1")
    assert raised.value.reason == reason


@pytest.mark.parametrize(
    "answer",
    [
        error(429, code="rate_limit"),
        error(400, code="lock_timeout"),
        error(409, code="idempotency_key_in_use"),
        error(400, type="idempotency_error"),
        error(401),
        error(403),
        error(500, type="api_error"),
        error(503, type="api_error"),
        stripe.APIConnectionError("no answer"),
    ],
)
async def test_what_is_no_answer_is_unknown_and_tried_by_nobody_else(answer: tuple[int, Json] | Exception) -> None:
    http = Scripted(answer)
    with pytest.raises(GatewayFault) as raised, structlog.testing.capture_logs() as logs:
        await calls_over(http).create_intent(KEY, 1_299, "USD", "pm_canary", "once")
    assert len(http.sent) == 1, "the library must not retry: the saga does"
    told = f"{raised.value} {raised.value.__cause__} {logs}"
    assert API_KEY not in told
    assert "pm_canary" not in told


async def test_a_page_that_is_not_json_is_unknown() -> None:
    class Garbled(Scripted):
        async def request_async(self, *_arguments: Any, **_named: Any) -> tuple[bytes, int, dict[str, str]]:
            return b"<html>", 200, {}

    with pytest.raises(GatewayFault):
        await calls_over(Garbled()).intent("pi_1")


@pytest.mark.parametrize(
    ("answer", "code", "param"),
    [
        (error(400, code="payment_intent_unexpected_state"), "payment_intent_unexpected_state", ""),
        (error(404, code="resource_missing", param="payment_method"), "resource_missing", "payment_method"),
        (error(400, code="amount_too_small", param="amount"), "amount_too_small", "amount"),
        (error(404), "resource_missing", ""),
        (error(400), "invalid_request", ""),
    ],
)
async def test_what_stripe_refuses_was_not_done(answer: tuple[int, Json], code: str, param: str) -> None:
    with pytest.raises(RequestRefused) as raised:
        await calls_over(Scripted(answer)).create_intent(KEY, 1_299, "USD", "pm_1", "once")
    assert (raised.value.code, raised.value.param) == (code, param)


async def test_a_question_that_is_refused_leaves_it_unknown() -> None:
    calls = calls_over(Scripted(error(404, code="resource_missing"), error(400)))
    with pytest.raises(GatewayFault, match="resource_missing"):
        await calls.intent("pi_of_another_account")
    with pytest.raises(GatewayFault):
        await calls.find_refund(KEY, "pi_of_another_account")


async def test_an_intent_shows_its_card_and_why_it_failed() -> None:
    card = {"id": "pm_1", "object": "payment_method", "card": {"last4": "4242"}}
    failed = {**INTENT, "status": "requires_payment_method", "last_payment_error": {"code": "expired_card"}}
    stolen = {**failed, "last_payment_error": {"code": "card_declined", "decline_code": "lost_card"}}
    calls = calls_over(Scripted((200, {**INTENT, "payment_method": card}), (200, failed), (200, stolen)))
    paid = await calls.intent("pi_1")
    assert (paid.status, paid.last4, paid.error) == ("succeeded", "4242", "")
    unpaid = await calls.intent("pi_1")
    assert (unpaid.status, unpaid.last4, unpaid.error) == ("requires_payment_method", "", "expired_card")
    assert (await calls.intent("pi_1")).error == "card_declined"


async def test_a_refund_is_found_on_a_later_page() -> None:
    def refund(n: int, key: str) -> Json:
        return {"id": f"re_{n}", "object": "refund", "status": "succeeded", "metadata": {"gateway_key": key}}

    def page(*refunds: Json, more: bool) -> tuple[int, Json]:
        return 200, {"object": "list", "data": list(refunds), "has_more": more, "url": "/v1/refunds"}

    http = Scripted(page(refund(1, "x"), more=True), page(refund(2, "y"), refund(3, KEY), more=False))
    found = await calls_over(http).find_refund(KEY, "pi_1")
    assert found is not None
    assert found.id == "re_3"
    assert "starting_after=re_1" in http.sent[1][1]
    assert await calls_over(Scripted(page(refund(1, "x"), more=False))).find_refund(KEY, "pi_1") is None
