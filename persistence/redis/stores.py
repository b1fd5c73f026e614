"""All that is kept in Redis, opened on one set of connections."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from persistence.ports import Carts, Outbox, Rates, Retention
from persistence.redis.carts import RedisCarts
from persistence.redis.outbox import RedisOutbox
from persistence.redis.rates import RedisRates
from persistence.redis.retention import CartsInRedisRetention
from persistence.redis.server import RedisConnections
from persistence.redis_url import parse_redis_url
from persistence.settings import StoreSettings

RATE_CONNECTIONS_MAX = 2
RATE_TIMEOUT_MS = 250
"""A request waits no longer for its count: then the replica counts by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisStores:
    """What `REDIS_URL` switches over. Close it."""

    carts: Carts
    outbox: Outbox
    retention: Retention
    rates: Rates
    probe: Callable[[], Awaitable[object]]
    close: Callable[[], Awaitable[None]]


def open_redis(url: str, settings: StoreSettings, rest: Retention) -> RedisStores:
    """Connects on first use. `rest` removes what is old in the other stores."""
    server = parse_redis_url(url)
    connections = RedisConnections(
        server,
        connections_max=settings.pool_connections_max,
        connect_timeout_ms=settings.connect_timeout_ms,
        answer_timeout_ms=settings.answer_timeout_ms,
    )
    # Apart from the carts': a count is given up early, and must not wait behind a large save.
    counting = RedisConnections(
        server,
        connections_max=RATE_CONNECTIONS_MAX,
        connect_timeout_ms=min(RATE_TIMEOUT_MS, settings.connect_timeout_ms),
        answer_timeout_ms=RATE_TIMEOUT_MS,
    )
    carts = RedisCarts(connections)

    async def close() -> None:
        await connections.close()
        await counting.close()

    return RedisStores(
        carts=carts,
        outbox=RedisOutbox(connections),
        retention=CartsInRedisRetention(connections, rest),
        rates=RedisRates(counting),
        probe=carts.probe,
        close=close,
    )
