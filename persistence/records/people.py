"""Accounts, messages to customers, and what administrators did."""

from typing import Literal

from persistence.records.row import Row


class UserRecord(Row, frozen=True, kw_only=True):
    """An account. `email` is stored as given, `email_key` is its case-folded form and unique."""

    id: str
    email: str
    email_key: str
    password_hash: str
    password_version: int
    first_name: str
    last_name: str
    role: str
    created_at_ms: int


class RefreshTokenRecord(Row, frozen=True, kw_only=True):
    """A refresh token by its hash. Tokens made from one login share a family."""

    token_hash: str
    family: str
    user_id: str
    password_version: int
    expires_at_ms: int
    used_at_ms: int | None


Channel = Literal["email", "sms"]


class NotificationRow(Row, frozen=True, kw_only=True):
    """One message to a customer. There is at most one for an event and channel.

    `pending`: to be sent at `due_at_ms`, or again after `attempts` attempts. `sent`: handed over (or, in the built-in
    mailbox, kept). `failed`: given up; `error` says why.
    """

    id: str
    event_id: str
    type: str
    channel: Channel
    recipient: str
    subject: str
    text_body: str
    html_body: str
    user_id: str
    order_id: str
    status: Literal["pending", "sent", "failed"]
    attempts: int
    due_at_ms: int
    created_at_ms: int
    ended_at_ms: int | None
    error: str = ""
    traceparent: str = ""
    correlation_id: str = ""


class AdminRecord(Row, frozen=True, kw_only=True):
    """One thing an administrator or a service did, and the status it got. `id` is 0 before it is stored."""

    at_ms: int
    actor: str
    role: str
    method: str
    route: str
    path: str
    status: int
    request_id: str
    address: str
    id: int = 0
