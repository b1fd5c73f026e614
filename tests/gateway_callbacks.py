"""Callbacks as the payment gateway signs them, made without its library."""

import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

PATH = "/api/v1/payments/webhook"


def secret_of(data_dir: Path) -> str:
    """The secret that a platform in development has made."""
    return (data_dir / "secrets" / "payments-webhook").read_text().strip()


def event(key: str, type_: str = "payment_intent.succeeded", **subject: Any) -> bytes:
    """An event about this payment attempt."""
    about = {"id": "pi_1", "object": "payment_intent", "metadata": {"gateway_key": key}, **subject}
    return json.dumps({"id": "evt_1", "object": "event", "type": type_, "data": {"object": about}}).encode()


def signature(body: bytes, secret: str, *, age_s: float = 0, scheme: str = "v1") -> str:
    """The header's value."""
    at = int(time.time() - age_s)
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},{scheme}={mac}"


def headers(body: bytes, secret: str, **changes: Any) -> dict[str, str]:
    """Everything that is sent with it."""
    return {"Stripe-Signature": signature(body, secret, **changes), "Content-Type": "application/json; charset=utf-8"}
