"""What the platform needs of a payment gateway."""

from typing import Protocol

from actors.domain.steps import ChargeResult, RefundResult


class GatewayFault(Exception):
    """No final word. The charge or refund may have happened: ask again, with the same key."""


class PaymentGateway(Protocol):
    """Charges and refunds by idempotency key: whatever is said about a key is final, and said again to a repeat.

    Every method raises `GatewayFault` when there is no answer; the caller bounds the time it waits.
    """

    async def charge(self, key: str, amount_minor: int, currency: str, token: str) -> ChargeResult:
        """Capture the amount, or decline. A key that was closed answers `closed`."""

    async def close_charge(self, key: str, amount_minor: int, currency: str) -> ChargeResult:
        """What became of this key; if nothing did, close it, so that a straggling charge is refused."""

    async def refund(self, key: str, of_key: str, amount_minor: int, currency: str) -> RefundResult:
        """Give back part of a capture."""
