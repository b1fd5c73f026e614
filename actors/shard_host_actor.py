"""The Ray shell over a shard host: bytes in, bytes out. It decides nothing."""

import asyncio
import gc
from collections.abc import Callable
from typing import Any, Protocol, cast

import ray
from ray.actor import ActorClass, ActorHandle

from cluster.ray_transport import NAMESPACE

CALLS_MAX = 10_000


class ShardHost(Protocol):
    """What the actor asks of the host it carries. All calls come from one event loop."""

    async def start(self) -> None:
        """Join the cluster and serve; returns when the host is a member. Raises if it cannot."""

    async def exchange(self, request: bytes) -> bytes:
        """One exchange: envelopes in, whichever replies are ready out (`cluster.exchange`)."""

    def describe(self) -> dict[str, Any]:
        """What the host is and carries, as plain data for people and metrics."""

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

    async def drain(self) -> None:
        """See `ShardHost.drain`."""
        await self._host.drain()

    async def stop(self) -> None:
        """See `ShardHost.stop`; the process itself is ended by `ray.kill`."""
        await self._host.stop()


def create_shard_host(actor_name: str, build_host: Callable[[], ShardHost]) -> ActorHandle[ShardHostActor]:
    """Create the detached, named actor and return its handle at once; `ping` tells when it serves.

    `build_host` runs in the actor's process: a module's function or a `functools.partial` of one. Never restarted by
    Ray, never retried: an error means *outcome unknown*, and the region is the only one that sends again. Raises
    `ValueError` if the name is taken.
    """
    actor_class: ActorClass[ShardHostActor] = ray.remote(ShardHostActor)
    options = actor_class.options(
        name=actor_name,
        namespace=NAMESPACE,
        lifetime="detached",
        max_restarts=0,
        max_task_retries=0,
        max_concurrency=CALLS_MAX,
        num_cpus=0,
    )
    return cast("ActorHandle[ShardHostActor]", options.remote(build_host))
