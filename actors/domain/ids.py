"""Names of things. Ids that must not be guessed are HMACs with the platform's secret."""

import base64
import hashlib
import hmac

ACCOUNT_PREFIX = "usr_"
ORDER_PREFIX = "ord_"
PAYMENT_PREFIX = "pay_"
EXTERNAL_RESERVATION_PREFIX = "ext:"
ID_BYTES = 15


def keyed_id(prefix: str, secret: bytes, *parts: str) -> str:
    """`prefix` and 24 characters that only the holder of `secret` can compute from `parts`.

    Parts are length-prefixed, so that ("ab", "c") and ("a", "bc") give different ids.
    """
    message = b"".join(len(p.encode()).to_bytes(4, "big") + p.encode() for p in parts)
    digest = hmac.new(secret, message, hashlib.sha256).digest()[:ID_BYTES]
    return prefix + base64.b32encode(digest).decode().lower()


def order_id(secret: bytes, principal: str, key: str) -> str:
    """The order that this principal's Idempotency-Key names: the same key is the same order."""
    return keyed_id(ORDER_PREFIX, secret, "order", principal, key)


def command_id(secret: bytes, principal: str, route: str, key: str) -> str:
    """The command that this principal's Idempotency-Key names on this route."""
    return keyed_id("cmd_", secret, "command", principal, route, key)


def payment_id(order: str) -> str:
    """The payment of an order: one entity beside it, named after it."""
    return PAYMENT_PREFIX + order.removeprefix(ORDER_PREFIX)


def order_of_payment(payment: str) -> str:
    """The order that a payment id belongs to."""
    return ORDER_PREFIX + payment.removeprefix(PAYMENT_PREFIX)


def reservation_id(order: str, sku: str) -> str:
    """An order's reservation of one SKU."""
    return f"{order}:{sku}"


def is_account(user_id: str) -> bool:
    """Whether this is an account's id (anything else names a guest cart)."""
    return user_id.startswith(ACCOUNT_PREFIX)
