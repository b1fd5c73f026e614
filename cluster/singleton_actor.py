"""The Ray shell over something of which the cluster has one. It decides nothing."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import ray
import structlog
from ray.exceptions import RayError

from cluster.import_paths import load
from cluster.logs import configure_logs
from cluster.ray_transport import NAMESPACE
from cluster.singletons import SingletonName, is_newest
from cluster.tracing import start_tracing, stop_tracing

log = structlog.get_logger(__name__)

_ASK_AGAIN_S = 1.0
NICENESS = 5
"""A third of the processor that a host gets where both want it: an order goes before its mail, and mail goes on."""


class Singleton(Protocol):
    """What the actor carries. All calls come from one event loop."""

    async def run(self) -> None:
        """Work until cancelled, or until a newer one was started; then close what is open."""

    def describe(self) -> dict[str, Any]:
        """What it does, as plain data for people."""

    def metrics(self) -> bytes:
        """What it counts (`cluster.host_reports.pack_families`)."""


class SingletonActor:
    """Works from the moment it exists, until `stop`, or until a newer one of its singleton exists.

    `build` is an import path (`module:name`) of what makes a `Singleton` of `is_standing()`, which tells whether no
    newer one exists. It is resolved in this process alone: the supervisor need not import it.
    """

    def __init__(self, build: str, actor_name: str) -> None:
        self._actor_name = actor_name
        process = singleton_process(actor_name)
        os.nice(NICENESS)
        configure_logs(process)
        start_tracing(process)
        make: Callable[[Callable[[], Awaitable[bool]]], Singleton] = load(build)
        self._singleton = make(self._is_standing)
        self._work = asyncio.get_running_loop().create_task(self._run(), name=actor_name)

    async def ping(self) -> None:
        """Return if it is at work; raise if its work has ended."""
        if self._work.done():
            raise RuntimeError(f"{self._actor_name} has ended")

    async def describe(self) -> dict[str, Any]:
        """See `Singleton.describe`."""
        return self._singleton.describe()

    async def metrics(self) -> bytes:
        """See `Singleton.metrics`."""
        return self._singleton.metrics()

    async def stop(self) -> None:
        """End the work and wait until it has ended; the process itself is ended by `ray.kill`."""
        self._work.cancel()
        await asyncio.wait([self._work])
        await asyncio.to_thread(stop_tracing)

    async def _run(self) -> None:
        try:
            await self._singleton.run()
        except Exception:  # the top of the work: the supervisor hears no answer and starts another
            log.exception("singleton.failed", actor_name=self._actor_name)
        else:
            log.info("singleton.ended", actor_name=self._actor_name)

    async def _is_standing(self) -> bool:
        while True:
            try:
                named = await asyncio.to_thread(ray.util.list_named_actors, all_namespaces=True)
            except RayError as error:  # nobody can be started now, either
                log.warning("singleton.standing_unknown", actor_name=self._actor_name, error=repr(error))
                await asyncio.sleep(_ASK_AGAIN_S)
            else:
                return is_newest(self._actor_name, [a["name"] for a in named if a["namespace"] == NAMESPACE])


def singleton_process(actor_name: str) -> str:
    """What logs, traces and metrics call the process of this actor: as its singleton is called, whichever runs."""
    name = SingletonName.parse(actor_name)
    return actor_name if name is None else name.singleton


def singleton_options(name: SingletonName) -> dict[str, Any]:
    """Options of its actor: detached, wherever there is room, and never restarted or retried by Ray."""
    return {
        "name": name.actor_name,
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "max_restarts": 0,
        "max_task_retries": 0,
        "num_cpus": 0,
    }
