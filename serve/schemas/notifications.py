"""Answers about messages to customers."""

import re
from typing import Annotated, Final, Literal

from fastapi import Query
from pydantic import Field

from actors.notifications.occasions import MessageType
from persistence.records import NotificationRow
from serve.clock import iso
from serve.schemas.base import CamelOut

_ID: Final = re.compile(r"ntf_[a-z2-7]{24}")

NotificationStatus = Literal["pending", "sent", "failed"]
OrderIdFilter = Annotated[
    str | None,
    Query(alias="orderId", min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$", examples=["ord_" + "a" * 24]),
]


def is_notification_id(text: str) -> bool:
    """Whether a message can have this id."""
    return _ID.fullmatch(text) is not None


class NotificationOut(CamelOut):
    """One message to a customer. `order_id` is null for those about an account; `subject` is empty in an SMS."""

    id: str = Field(examples=["ntf_" + "a" * 24])
    type: MessageType = Field(examples=["order_confirmed"])
    channel: Literal["email", "sms"] = Field(examples=["email"])
    to: str = Field(examples=["test@example.com"])
    subject: str = Field(examples=["Your order ord_" + "a" * 24 + " is confirmed"])
    status: NotificationStatus = Field(
        examples=["sent"], description="sent: taken over by the mail server or, without one, kept in the mailbox"
    )
    order_id: str | None = Field(examples=["ord_" + "a" * 24])
    created_at: str = Field(examples=["2026-01-31T12:00:00.250Z"], description="when what it tells happened")

    @classmethod
    def of(cls, row: NotificationRow) -> "NotificationOut":
        """As lists show it."""
        return cls.model_validate(_shown(row))


class NotificationDetailOut(NotificationOut):
    """The same with its text, and how its sending went."""

    text: str = Field(examples=["Hello Ada, …"])
    html: str | None = Field(examples=["<!doctype html>…"], description="null in an SMS")
    attempts: int = Field(examples=[1], description="how often it was handed over, or tried to be; 0: kept")
    error: str | None = Field(examples=["recipient refused with 550: unknown user"], description="of the last try")
    next_attempt_at: str | None = Field(examples=["2026-01-31T12:00:05.250Z"], description="while pending")
    ended_at: str | None = Field(examples=["2026-01-31T12:00:01.250Z"], description="when it was sent, or failed")

    @classmethod
    def of(cls, row: NotificationRow) -> "NotificationDetailOut":
        """As it is shown alone."""
        return cls.model_validate(
            {
                **_shown(row),
                "text": row.text_body,
                "html": row.html_body or None,
                "attempts": row.attempts,
                "error": row.error or None,
                "next_attempt_at": iso(row.due_at_ms) if row.status == "pending" else None,
                "ended_at": None if row.ended_at_ms is None else iso(row.ended_at_ms),
            }
        )


def _shown(row: NotificationRow) -> dict[str, object]:
    return {
        "id": row.id,
        "type": row.type,
        "channel": row.channel,
        "to": row.recipient,
        "subject": row.subject,
        "status": row.status,
        "order_id": row.order_id or None,
        "created_at": iso(row.created_at_ms),
    }
