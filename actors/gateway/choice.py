"""The gateway that the settings name."""
# ruff: noqa: PLC0415 -- Stripe's library takes 30 MB of every host: only where it is used

from collections.abc import Callable
from typing import Final

from actors.gateway.port import PaymentGateway
from actors.gateway.sandbox import SandboxGateway
from actors.payment_settings import PaymentSettings
from persistence.ports import Ledger

CALL_TIMEOUT_S: Final = 10.0
"""Of one call of Stripe's API; whoever asks the gateway waits less."""


def open_gateway(settings: PaymentSettings, ledger: Ledger, now_ms: Callable[[], int]) -> PaymentGateway:
    """The gateway over this ledger. Needs a running loop."""
    if settings.gateway == "sandbox":
        return SandboxGateway(ledger, now_ms)
    from actors.gateway.stripe_calls import open_calls
    from actors.gateway.stripe_gateway import StripeGateway

    calls = open_calls(settings.api_key(), str(settings.stripe_api_base).rstrip("/"), CALL_TIMEOUT_S)
    return StripeGateway(calls, ledger, now_ms)
