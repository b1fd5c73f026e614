"""The time that the HTTP side goes by."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The platform's clock (the cluster database's)."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""


def iso(at_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds, such as `2026-01-31T12:00:00.250Z`."""
    whole_s, fraction_ms = divmod(at_ms, 1_000)
    return f"{datetime.fromtimestamp(whole_s, UTC):%Y-%m-%dT%H:%M:%S}.{fraction_ms:03d}Z"
