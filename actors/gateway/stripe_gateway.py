"""Stripe, as a payment gateway whose word about a key is final.

    charge:  create a PaymentIntent (no money moves) ► write its id down ► confirm it ► write down what came of it
    repeat:  the result, if it is written down; else what is written of the intent: ask by its id, confirm if nobody has
    close:   write down that there will be no intent; or cancel the one there is; if it has succeeded: captured
    refund:  write down that it begins ► look for it at Stripe, if it is a repeat ► make it ► write it down

The ledger's first row under a key stands, so every process that works on a key (one that was taken for dead, too)
works on the same PaymentIntent, and Stripe confirms an intent once. No double charge rests on an idempotency key;
one is sent for as long as it cannot have expired, so that a repeat finds its own work (see ADR 9).
"""

import re
from collections.abc import Callable
from typing import Final

import structlog

from actors.domain.steps import ChargeResult, RefundResult
from actors.gateway.port import GatewayFault
from actors.gateway.stripe_amounts import stripe_amount
from actors.gateway.stripe_calls import CardDeclined, Intent, RequestRefused, StripeCalls, StripeRefund
from persistence.errors import StoreError
from persistence.ports import Ledger
from persistence.records import LedgerRow

log = structlog.get_logger(__name__)
CLOSED: Final = "closed"
TOKEN: Final = re.compile(r"(pm|tok)_[A-Za-z0-9_]{1,250}")
INTENT_KEY_LIFE_MS: Final = 600_000
"""How long a creation is sent with the same idempotency key. It spares unused intents (a `tok_…` makes only one), and
must not be long: a 500 of Stripe's is kept under the key as well."""
REFUND_KEY_LIFE_MS: Final = 3_600_000
"""How long a refund is sent with the same idempotency key: Stripe keeps them for a day at least."""
REFUND_KEY_QUIET_MS: Final = 600_000
"""The end of that time, in which nothing is sent: when the next key's time begins, none of the last is under way."""


class StripeGateway:
    """See `PaymentGateway`. `now_ms` is the platform's time."""

    def __init__(self, calls: StripeCalls, ledger: Ledger, now_ms: Callable[[], int]) -> None:
        self._calls = calls
        self._ledger = ledger
        self._now_ms = now_ms

    async def close(self) -> None:
        """Let go of connections."""
        await self._calls.close()

    # --- charging ----------------------------------------------------------------------------------

    async def charge(self, key: str, amount_minor: int, currency: str, token: str) -> ChargeResult:
        """See `PaymentGateway`."""
        rows = await self._find([key, _intent_key(key)])
        if key in rows:
            return _told(rows[key])
        movement = _Movement(key, amount_minor, currency, self._now_ms())
        known = rows.get(_intent_key(key))
        intent = known or await self._begin(movement, token)
        if intent.status == CLOSED:
            return await self._settle(movement.closed(intent.reason))
        if not amount_minor:
            return await self._settle(movement.captured(intent.reference, ""))
        found = await self._confirmed(intent.reference, fresh=known is None)
        return await self._settle(await self._ended(movement, found))

    async def close_charge(self, key: str, amount_minor: int, currency: str) -> ChargeResult:
        """See `PaymentGateway`."""
        movement = _Movement(key, amount_minor, currency, self._now_ms())
        rows = await self._find([key])
        if key in rows:
            return _told(rows[key])
        intent = await self._put(movement.intent(CLOSED, "", CLOSED))
        if intent.status == CLOSED:
            return await self._settle(movement.closed(intent.reason))
        if not amount_minor:
            return await self._settle(movement.captured(intent.reference, ""))
        return await self._settle(await self._ended(movement, await self._calls.intent(intent.reference)))

    async def _begin(self, movement: "_Movement", token: str) -> LedgerRow:
        """What stands as the intent of this key: the PaymentIntent that all who work on the key work on, or none.

        What cannot be charged is closed in the same place, so that nobody else charges it meanwhile.
        """
        amount = stripe_amount(movement.amount_minor, movement.currency)
        if not movement.amount_minor:
            return await self._put(movement.intent("open", "free", ""))
        if amount is None or TOKEN.fullmatch(token) is None:
            reason = "not_chargeable" if amount is None else "invalid_token"
            return await self._put(movement.intent(CLOSED, "", reason))
        once = f"{movement.key}:{movement.at_ms // INTENT_KEY_LIFE_MS}"
        try:
            made = await self._calls.create_intent(movement.key, amount, movement.currency, token, once)
        except CardDeclined as declined:
            return await self._put(movement.intent(CLOSED, "", declined.reason))
        except RequestRefused as refused:
            log.warning("stripe.charge_refused", code=refused.code, param=refused.param)
            about_token = refused.param.startswith("payment_method") or refused.code == "resource_missing"
            reason = "invalid_token" if about_token else "not_chargeable"
            return await self._put(movement.intent(CLOSED, "", reason))
        stands = await self._put(movement.intent("open", made, ""))
        if stands.reference != made:
            await self._drop(made)
        return stands

    async def _confirmed(self, intent_id: str, *, fresh: bool) -> Intent:
        """The intent, once it was tried to confirm it. One that is not fresh is looked at first."""
        if not fresh:
            found = await self._calls.intent(intent_id)
            if found.status != "requires_confirmation":
                return found
        try:
            return await self._calls.confirm_intent(intent_id)
        except CardDeclined as declined:
            found = await self._calls.intent(intent_id)
            return Intent(id=found.id, status=found.status, last4=found.last4, error=declined.reason)
        except RequestRefused:
            return await self._calls.intent(intent_id)  # somebody was quicker: what became of it?

    async def _ended(self, movement: "_Movement", found: Intent) -> LedgerRow:
        """What came of an intent that is not to be confirmed any more: it is cancelled, unless it has succeeded."""
        error = found.error or ("authentication_required" if found.status == "requires_action" else "")
        if found.status not in ("succeeded", "canceled", "processing", "requires_capture"):
            try:
                found = await self._calls.cancel_intent(found.id)
            except (CardDeclined, RequestRefused):
                found = await self._calls.intent(found.id)
        match found.status:
            case "succeeded":
                return movement.captured(found.id, found.last4)
            case "canceled":
                return movement.closed(error or found.error or CLOSED, found.id)
            case _:
                raise GatewayFault(f"Stripe: the payment is {found.status}")

    async def _drop(self, intent_id: str) -> None:
        """Cancel an intent that nobody will use. If that fails it stays unconfirmed, which harms nobody."""
        try:
            await self._calls.cancel_intent(intent_id)
        except (CardDeclined, RequestRefused, GatewayFault):
            log.info("stripe.unused_intent", intent=intent_id)

    # --- giving back -------------------------------------------------------------------------------

    async def refund(self, key: str, of_key: str, amount_minor: int, currency: str) -> RefundResult:
        """See `PaymentGateway`. Raises `GatewayFault` also if there is no capture to give back from."""
        rows = await self._find([key, of_key])
        if key in rows:
            return RefundResult(reference=rows[key].reference)
        capture = rows.get(of_key)
        amount = stripe_amount(amount_minor, currency)
        if capture is None or capture.status != "succeeded" or amount_minor > capture.amount_minor or amount is None:
            raise GatewayFault("nothing was captured that covers this refund")
        movement = _Movement(key, amount_minor, currency, self._now_ms())
        mine = movement.intent("open", capture.reference, "")
        begun = await self._put(mine)
        made = None if begun == mine else await self._calls.find_refund(key, capture.reference)
        if made is None:
            made = await self._give_back(movement, capture.reference, amount, movement.at_ms - begun.at_ms)
        if made.status != "succeeded":
            # Stripe may take its time, and may fail in the end: then the money has to be sent by other means.
            log.warning("stripe.refund_not_done", refund=made.id, status=made.status)
            raise GatewayFault(f"Stripe: the refund is {made.status}")
        row = movement.refunded(made.id, of_key, capture.last4)
        return RefundResult(reference=(await self._put(row)).reference)

    async def _give_back(self, movement: "_Movement", intent_id: str, amount: int, age_ms: int) -> StripeRefund:
        generation, into_ms = divmod(max(0, age_ms), REFUND_KEY_LIFE_MS)
        if into_ms >= REFUND_KEY_LIFE_MS - REFUND_KEY_QUIET_MS:
            raise GatewayFault("the refund waits for its next idempotency key")
        once = f"{movement.key}:{generation}"
        try:
            return await self._calls.create_refund(movement.key, intent_id, amount, once)
        except (CardDeclined, RequestRefused) as refused:
            log.error("stripe.refund_refused", intent=intent_id, why=str(refused))  # noqa: TRY400 - no trace needed
            raise GatewayFault("Stripe refused the refund") from None

    # --- the ledger --------------------------------------------------------------------------------

    async def _settle(self, row: LedgerRow) -> ChargeResult:
        return _told(await self._put(row))

    async def _find(self, keys: list[str]) -> dict[str, LedgerRow]:
        try:
            return dict(await self._ledger.find(keys))
        except StoreError as error:
            raise GatewayFault("the gateway's ledger cannot be read") from error

    async def _put(self, row: LedgerRow) -> LedgerRow:
        """What stands under the row's key afterwards."""
        try:
            return (await self._ledger.put([row]))[row.key]
        except StoreError as error:
            raise GatewayFault(f"the gateway's ledger did not answer: {type(error).__name__}") from error


class _Movement:
    """Rows about one key."""

    def __init__(self, key: str, amount_minor: int, currency: str, at_ms: int) -> None:
        self.key = key
        self.amount_minor = amount_minor
        self.currency = currency
        self.at_ms = at_ms

    def intent(self, status: str, reference: str, reason: str) -> LedgerRow:
        return self._row(_intent_key(self.key), "intent", status, reference=reference, reason=reason)

    def captured(self, reference: str, last4: str) -> LedgerRow:
        return self._row(self.key, "capture", "succeeded", reference=reference, last4=last4)

    def closed(self, reason: str, reference: str = "") -> LedgerRow:
        """Closed before it was tried, or (any other reason) declined."""
        status = CLOSED if reason == CLOSED else "declined"
        return self._row(self.key, "capture", status, reference=reference, reason=reason)

    def refunded(self, reference: str, of_key: str, last4: str) -> LedgerRow:
        return self._row(self.key, "refund", "succeeded", reference=reference, last4=last4, of_key=of_key)

    def _row(
        self, key: str, kind: str, status: str, *, reference: str, reason: str = "", last4: str = "", of_key: str = ""
    ) -> LedgerRow:
        return LedgerRow(
            key=key,
            kind=kind,  # type: ignore[arg-type] # the words are this file's own
            status=status,  # type: ignore[arg-type]
            amount_minor=self.amount_minor,
            currency=self.currency,
            reference=reference,
            reason=reason,
            last4=last4,
            at_ms=self.at_ms,
            of_key=of_key,
        )


def _intent_key(key: str) -> str:
    return f"{key}#intent"


def _told(row: LedgerRow) -> ChargeResult:
    if row.status == "succeeded":
        return ChargeResult(status="captured", reference=row.reference, last4=row.last4)
    return ChargeResult(status=row.status, reference=row.reference, reason=row.reason)
