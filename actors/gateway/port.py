"""What the platform needs of a payment gateway."""

from typing import Final, Protocol

from actors.domain.steps import ChargeResult, RefundResult

KEY_TAG: Final = "gateway_key"
"""Metadata of what is made at a gateway, with the platform's key; its callbacks carry it."""


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

    async def close(self) -> None:
        """Let go of what is open. What was asked of it goes on at the gateway."""
