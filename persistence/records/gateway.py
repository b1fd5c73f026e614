"""The payment gateway's own ledger."""

from typing import Literal

from persistence.records.row import Row


class LedgerRow(Row, frozen=True, kw_only=True):
    """A movement at the payment gateway, keyed by idempotency key.

    `intent`: none yet, but the adapter of a real gateway is about to make one: `reference` is the gateway's object for
    it, `open` until a row under the movement's own key says what came of it.
    """

    key: str
    kind: Literal["capture", "refund", "intent"]
    status: Literal["succeeded", "declined", "closed", "open"]
    amount_minor: int
    currency: str
    reference: str
    reason: str
    last4: str
    at_ms: int
    of_key: str = ""
