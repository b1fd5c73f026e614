"""The Ray shell over a shard host: bytes in, bytes out. It decides nothing."""

import asyncio
import gc
from collections.abc import Callable
from typing import Any, Protocol


class ShardHost(Protocol):
    """What the actor asks of the host it carries. All calls come from one event loop."""

    async def start(self) -> None:
        """Join the cluster and serve; returns when the host is a member. Raises if it cannot."""

    async def exchange(self, request: bytes) -> bytes:
        """One exchange: envelopes in, whichever replies are ready out (`cluster.exchange`)."""

    def describe(self) -> dict[str, Any]:
        """What the host is and carries, as plain data for people."""

    def metrics(self) -> bytes:
        """What the host counts (`cluster.host_reports.pack_families`)."""

    async def drain(self) -> None:
        """Hand every shard on and return when none is left, or the drain's own deadline has passed."""

    async def stop(self) -> None:
        """Leave the cluster and close what is open."""


class ShardHostActor:
    """Lives as long as its process. A call that fails may have been carried out: the region resolves that.

    The host starts as soon as the actor exists; `ping` answers when it has started, and raises if it could not.
    """

    def __init__(self, build_host: Callable[[], ShardHost]) -> None:
        self._host = build_host()
        self._started = asyncio.get_running_loop().create_task(self._start())

    async def _start(self) -> None:
        await self._host.start()
        # What is there now stays: leave it out of every later collection.
        gc.collect()
        gc.freeze()

    async def ping(self) -> None:
        """Return when the host has started."""
        await asyncio.shield(self._started)

    async def exchange(self, request: bytes) -> bytes:
        """Carry one exchange to the host."""
        return await self._host.exchange(request)

    async def describe(self) -> dict[str, Any]:
        """See `ShardHost.describe`."""
        return self._host.describe()

    async def metrics(self) -> bytes:
        """See `ShardHost.metrics`."""
        return self._host.metrics()

    async def drain(self) -> None:
        """See `ShardHost.drain`."""
        await self._host.drain()

    async def stop(self) -> None:
        """See `ShardHost.stop`; the process itself is ended by `ray.kill`."""
        await self._host.stop()
