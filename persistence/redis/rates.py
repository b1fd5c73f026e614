"""Rate limits in Redis: one count for all replicas."""

from collections.abc import Sequence

from persistence.records import RateHit
from persistence.redis.keys import rate_key
from persistence.redis.scripts import load_script
from persistence.redis.server import Argument, RedisConnections


class RedisRates:
    """Counters by key, which the server removes when a key was idle for two windows. Time is the server's."""

    def __init__(self, connections: RedisConnections) -> None:
        self._connections = connections
        self._count = load_script("count_rates")
        self._forget = load_script("forget_rate")

    async def hit(self, hits: Sequence[RateHit]) -> list[int]:
        """Count each, in order."""
        limits: list[Argument] = [number for hit in hits for number in (hit.limit, hit.window_ms)]
        waits: list[int] = await self._connections.run_freely(self._count, [rate_key(hit.key) for hit in hits], limits)
        return waits

    async def reset(self, key: str) -> None:
        """Forget what the key did."""
        await self._connections.run_freely(self._forget, (rate_key(key),), ())
