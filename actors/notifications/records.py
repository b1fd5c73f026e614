"""Rows of messages and their events."""

import base64
import hashlib
from typing import Literal

import msgspec

from persistence.records import Channel, NewEvent, NotificationRow

_ID_BYTES = 15


def notification_id(event_id: str, channel: Channel) -> str:
    """The same for one event and channel, whoever computes it and however often."""
    digest = hashlib.sha256(f"{event_id}\n{channel}".encode()).digest()[:_ID_BYTES]
    return f"ntf_{base64.b32encode(digest).decode().lower()}"


def ended(row: NotificationRow, fact: Literal["sent", "failed"], at_ms: int) -> NewEvent:
    """`notification.sent` or `.failed`: the first and last event of a notification. It names no address."""
    body = {
        "notificationId": row.id,
        "type": row.type,
        "channel": row.channel,
        "orderId": row.order_id,
        "userId": row.user_id,
    }
    return NewEvent(
        entity_type="notification",
        entity_id=row.id,
        version=1,
        type=f"notification.{fact}",
        schema_version=1,
        body=msgspec.json.encode(body),
        command_id=row.id,
        correlation_id=row.correlation_id,
        causation_id=row.event_id,
        traceparent=row.traceparent,
        at_ms=at_ms,
    )
