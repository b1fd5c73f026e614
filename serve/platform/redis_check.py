"""Whether the Redis that REDIS_URL names may be trusted with carts: asked before anything is started on it."""

import asyncio
import logging

from persistence.redis_settings import RedisSettings
from serve.platform.errors import UserError

_LOG = logging.getLogger(__name__)


def check_redis(settings: RedisSettings, *, production: bool) -> None:
    """Raises `UserError` unless it answers, is new enough, and takes writes. The URL is not shown: it has a password.

    One that may lose carts is refused in production, unless `STAMPEDE_REDIS_UNSAFE_ALLOWED` is set, and is logged else.
    """
    # A platform without Redis need not load its driver.
    from persistence.redis.inspection import inspect_server  # noqa: PLC0415

    assert settings.redis_url is not None
    found = asyncio.run(inspect_server(settings.redis_url.get_secret_value()))
    if found.unusable:
        raise UserError(f"the server that REDIS_URL names cannot be used: {found.unusable}")
    if found.unsafe and production and not settings.redis_unsafe_allowed:
        raise UserError(
            f"the server that REDIS_URL names may lose carts: {'; '.join(found.unsafe)}"
            " (STAMPEDE_REDIS_UNSAFE_ALLOWED=true starts all the same)"
        )
    for why in found.unsafe:
        _LOG.warning("the server that REDIS_URL names may lose carts: %s", why)
    for what in found.unknown:
        _LOG.warning("the server that REDIS_URL names does not say %s", what)
