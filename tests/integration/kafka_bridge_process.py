"""A bridge in a process of its own, to be killed: python -m … with DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS set."""

import asyncio
from functools import partial

from actors.consumer_settings import ConsumerSettings
from actors.consumers import ConsumersProcess, bridge_parts
from persistence.settings import StoreSettings
from persistence.stores import open_stores


async def standing() -> bool:
    """Nobody asks who is the newer: the stores know."""
    return True


async def main() -> None:
    """Bridge until killed."""
    settings = ConsumerSettings(poll_interval_ms=200, busy_poll_interval_ms=20, standing_check_interval_ms=10**6)
    opened = partial(open_stores, StoreSettings())
    await ConsumersProcess(standing, open_stores=opened, settings=settings, parts=bridge_parts).run()


if __name__ == "__main__":
    asyncio.run(main())
