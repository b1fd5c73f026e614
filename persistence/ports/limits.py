"""Rate limits that all replicas share."""

from collections.abc import Sequence
from typing import Protocol

from persistence.records import RateHit


class Rates(Protocol):
    """Counts what keys do in sliding windows, for every replica alike."""

    async def hit(self, hits: Sequence[RateHit]) -> list[int]:
        """Count each, in order: 0 if it is within its limit, else how many ms to wait (and it does not count)."""

    async def reset(self, key: str) -> None:
        """Forget what the key did."""
