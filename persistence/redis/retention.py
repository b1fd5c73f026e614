"""Removal of the carts' old answers in Redis; all else is removed where it was before."""

from persistence.ports import Retention
from persistence.records import AnswerService
from persistence.redis import keys
from persistence.redis.scripts import load_script
from persistence.redis.server import RedisConnections


class CartsInRedisRetention:
    """The carts' answers are in Redis, everything else is where `rest` removes it."""

    def __init__(self, connections: RedisConnections, rest: Retention) -> None:
        self._connections = connections
        self._rest = rest
        self._forget = load_script("forget_answers")

    async def forget_answers(self, service: AnswerService, before_ms: int, limit: int) -> int:
        """Remove remembered answers."""
        if service != "carts":
            return await self._rest.forget_answers(service, before_ms, limit)
        by_age = ("ZRANGE", keys.ANSWERS_BY_AGE, "-inf", f"({before_ms}", "BYSCORE", "LIMIT", 0, limit)
        (old,) = await self._connections.read(by_age)
        if old:
            await self._connections.run_freely(self._forget, (keys.ANSWERS_BY_AGE, *old), (before_ms,))
        return len(old)

    async def forget_refresh(self, before_ms: int, limit: int) -> int:
        """Remove refresh tokens that have expired."""
        return await self._rest.forget_refresh(before_ms, limit)

    async def forget_messages(self, before_ms: int, limit: int) -> int:
        """Remove messages to customers that were sent or have failed."""
        return await self._rest.forget_messages(before_ms, limit)
