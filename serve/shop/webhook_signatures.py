"""Signatures of the payment gateway's callbacks: Stripe's scheme, checked by its library; the sandbox's are the same."""

from typing import Final

import stripe

from serve.auth.secrets import generated_secret, read_secret
from serve.settings import ServeSettings

HEADER: Final = "Stripe-Signature"
_SECRET_NAME: Final = "payments-webhook"  # noqa: S105 - the name of a file
_HEADER_CHARACTERS_MAX: Final = 1_024


class WebhookSignatures:
    """Tells callbacks of the gateway from others'. Without a secret none is the gateway's."""

    def __init__(self, secret: str | None, tolerance_s: int) -> None:
        self._secret = secret
        self._tolerance_s = tolerance_s

    def accepts(self, body: bytes, header: str | None) -> bool:
        """Whether the holder of the secret signed this body, at most `tolerance_s` ago. Compared in constant time."""
        if self._secret is None or header is None or len(header) > _HEADER_CHARACTERS_MAX or not header.isascii():
            return False
        try:
            stripe.WebhookSignature.verify_header(body, header, self._secret, self._tolerance_s)
        except (stripe.SignatureVerificationError, UnicodeDecodeError):
            return False
        return True


def webhook_signatures_of(settings: ServeSettings) -> WebhookSignatures:
    """With the secret that the settings name; in development one is made in the data folder."""
    secret: str | None = None
    if settings.payments_webhook_secret is not None:
        secret = settings.payments_webhook_secret.get_secret_value()
    elif settings.payments_webhook_secret_file is not None:
        secret = read_secret(settings.payments_webhook_secret_file)
    elif not settings.production:
        secret = generated_secret(settings.data_dir, _SECRET_NAME)
    return WebhookSignatures(secret, settings.payments_webhook_tolerance_s)
