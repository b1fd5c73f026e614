"""Text messages without a provider: that one was sent is logged, and nothing leaves the platform."""

import structlog

from persistence.records import NotificationRow

log = structlog.get_logger(__name__)


class SmsLog:
    """Stands where a provider's adapter will. The log has neither the text nor the number."""

    async def send(self, message: NotificationRow) -> None:
        """Log it."""
        log.info(
            "sms.sent",
            notification=message.id,
            type=message.type,
            to=masked(message.recipient),
            characters=len(message.text_body),
        )

    async def close(self) -> None:
        """Nothing to let go of."""


def masked(number: str) -> str:
    """`+1 555 0100` → `…00`: enough to tell two apart, not enough to call."""
    digits = "".join(character for character in number if character.isdigit())
    return f"…{digits[-2:]}"
