"""The calls that the adapter makes of Stripe's API, through its official library, and what their errors mean.

| Stripe says | here |
|---|---|
| the card was refused | `CardDeclined`, with a reason that a shopper may read |
| the request is wrong, or comes at the wrong moment | `RequestRefused`: nothing was done |
| too many requests, a lock, 5xx, no answer, a key that does not count | `GatewayFault`: nobody knows |

The library retries nothing: the saga does, and knows for how long.
"""

from dataclasses import dataclass
from typing import Any, Final

import stripe
import structlog

from actors.gateway.port import KEY_TAG, GatewayFault

log = structlog.get_logger(__name__)
ORDER_TAG: Final = "order_id"
DECLINED: Final = "card_declined"
SHOWN_REASONS: Final = frozenset(
    {
        "authentication_required", "card_not_supported", "currency_not_supported", "expired_card", "incorrect_cvc",
        "incorrect_number", "insufficient_funds", "invalid_cvc", "invalid_expiry_month", "invalid_expiry_year",
        "invalid_number", "processing_error",
    }
)  # fmt: skip
"""Others (lost, stolen, fraudulent, …) are the issuer's business: a shopper is told `card_declined`."""
NOT_FINAL: Final = frozenset({"lock_timeout", "rate_limit", "idempotency_key_in_use", "platform_api_key_expired"})
REFUNDS_PAGE: Final = 100


class CardDeclined(Exception):
    """The card was refused. `reason` may be shown."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RequestRefused(Exception):
    """Stripe did nothing. `code` and `param` are Stripe's names for what is wrong."""

    def __init__(self, code: str, param: str) -> None:
        super().__init__(f"{code} {param}".strip())
        self.code = code
        self.param = param


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A PaymentIntent. `error`: why its card was refused, "" if it was not."""

    id: str
    status: str
    last4: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StripeRefund:
    """A refund."""

    id: str
    status: str


class StripeCalls:
    """One method a call. Every one raises `GatewayFault`; those that ask for a change, the others too."""

    def __init__(self, client: stripe.StripeClient, http: stripe.HTTPXClient) -> None:
        self._client = client
        self._http = http

    async def create_intent(self, key: str, amount: int, currency: str, token: str, idempotency_key: str) -> str:
        """The id of a new PaymentIntent that nobody has confirmed: no money moves."""
        method: dict[str, Any] = {"payment_method": token}
        if token.startswith("tok_"):
            method = {"payment_method_data": {"type": "card", "card": {"token": token}}}
        params: Any = {
            "amount": amount,
            "currency": currency.lower(),
            "payment_method_types": ["card"],
            "metadata": _tags(key),
            **method,
        }
        intents = self._client.v1.payment_intents
        made = await _judged(intents.create_async(params, {"idempotency_key": idempotency_key}))
        return str(made.id)

    async def confirm_intent(self, intent_id: str) -> Intent:
        """Charge it. It is Stripe that sees to it that this happens once: a second confirmation is refused."""
        return _intent(await _judged(self._client.v1.payment_intents.confirm_async(intent_id, _SHOW_CARD)))

    async def intent(self, intent_id: str) -> Intent:
        """As it is now."""
        return _intent(await _found(self._client.v1.payment_intents.retrieve_async(intent_id, _SHOW_CARD)))

    async def cancel_intent(self, intent_id: str) -> Intent:
        """End it for good. Refused if it has succeeded, or ended already."""
        return _intent(await _judged(self._client.v1.payment_intents.cancel_async(intent_id)))

    async def create_refund(self, key: str, intent_id: str, amount: int, idempotency_key: str) -> StripeRefund:
        """Give back part of what the intent took."""
        params: Any = {"payment_intent": intent_id, "amount": amount, "metadata": _tags(key)}
        refunds = self._client.v1.refunds
        return _refund(await _judged(refunds.create_async(params, {"idempotency_key": idempotency_key})))

    async def find_refund(self, key: str, intent_id: str) -> StripeRefund | None:
        """The refund that was made under this key. Lists at Stripe show what was written before they were asked for."""
        params: Any = {"payment_intent": intent_id, "limit": REFUNDS_PAGE}
        while True:
            page = await _found(self._client.v1.refunds.list_async(params))
            for refund in page.data:
                if _tag(refund, KEY_TAG) == key:
                    return _refund(refund)
            if not page.has_more or not page.data:
                return None
            params = {**params, "starting_after": page.data[-1].id}

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.close_async()  # type: ignore[no-untyped-call]


def open_calls(api_key: str, api_base: str, timeout_s: float) -> StripeCalls:
    """Calls with this key. Needs a running loop; opens no connection before it is asked."""
    http = stripe.HTTPXClient(timeout=timeout_s)
    client = stripe.StripeClient(api_key, http_client=http, base_addresses={"api": api_base}, max_network_retries=0)
    return StripeCalls(client, http)


_SHOW_CARD: Any = {"expand": ["payment_method"]}


def _tags(key: str) -> dict[str, str]:
    return {ORDER_TAG: key.partition(":")[0], KEY_TAG: key}


def _tag(found: Any, name: str) -> str:
    tags = getattr(found, "metadata", None)
    return "" if tags is None or name not in tags else str(tags[name])


async def _judged(call: Any) -> Any:
    """What the call gave, its errors told apart. What was sent is in none of them, nor in the log."""
    try:
        return await call
    except stripe.CardError as error:
        raise CardDeclined(_reason(error)) from None
    except stripe.InvalidRequestError as error:
        code = error.code or ("resource_missing" if error.http_status == 404 else "invalid_request")
        if code in NOT_FINAL or error.http_status not in (400, 404):
            raise GatewayFault(f"Stripe: {code}") from None
        raise RequestRefused(code, error.param or "") from None
    except stripe.StripeError as error:
        kind = type(error).__name__
        # No trace in either line: it may show what was sent.
        if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
            log.error("stripe.key_refused", kind=kind, request=error.request_id)  # noqa: TRY400
        else:
            log.warning("stripe.no_answer", kind=kind, status=error.http_status, request=error.request_id)
        raise GatewayFault(f"Stripe: {kind} {error.http_status or ''}".strip()) from None


async def _found(call: Any) -> Any:
    """What a question gave. If Stripe refuses it (the key is another account's, say), nobody knows."""
    try:
        return await _judged(call)
    except (CardDeclined, RequestRefused) as refused:
        log.error("stripe.question_refused", why=str(refused))  # noqa: TRY400 - as above
        raise GatewayFault(f"Stripe: {refused}") from None


def _reason(error: stripe.CardError) -> str:
    told = error.error
    for code in (getattr(told, "decline_code", None), error.code):
        if code in SHOWN_REASONS:
            return str(code)
    return DECLINED


def _intent(found: Any) -> Intent:
    method = getattr(found, "payment_method", None)
    card = getattr(method, "card", None)
    last = getattr(found, "last_payment_error", None)
    error = ""
    if last is not None:
        shown = [code for code in (getattr(last, "decline_code", None), getattr(last, "code", None)) if code]
        error = next((code for code in shown if code in SHOWN_REASONS), DECLINED)
    return Intent(id=found.id, status=found.status, last4=getattr(card, "last4", None) or "", error=error)


def _refund(found: Any) -> StripeRefund:
    return StripeRefund(id=found.id, status=found.status or "")
