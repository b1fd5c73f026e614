"""The supervisor's hands for singletons: asks them whether they live, starts and kills them through Ray."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import ray
import structlog
from ray.exceptions import RayError

from cluster.ray_transport import NAMESPACE
from cluster.settings import ClusterSettings
from cluster.singleton_actor import SingletonActor, singleton_options
from cluster.singletons import KillSingleton, SingletonMemory, StartSingleton, decide_singletons, next_name
from cluster.tasks import TaskOwner

log = structlog.get_logger(__name__)

_ASK_EVERY_MS = 2_000


class SingletonWatch:
    """Keeps one of each singleton at work. `builds` maps its name (without dashes) to what it runs, an import path.

    One question at a time is on its way to each actor, so what a hanging one has in its queue is bounded by how soon
    it is replaced and killed.
    """

    def __init__(self, builds: Mapping[str, str], settings: ClusterSettings) -> None:
        self._builds = dict(builds)
        self._settings = settings
        self._memory = SingletonMemory()
        self._asked_ms: dict[str, int] = {}
        self._asking: set[str] = set()
        self._tasks = TaskOwner()

    async def look(self, names: list[str]) -> None:
        """One round; `names` are the actors that exist. Raises what Ray raises."""
        now_ms = _now_ms()
        self._memory.observe(names, now_ms)
        self._asked_ms = {name: at for name, at in self._asked_ms.items() if name in self._memory.first_seen_ms}
        for name in self._memory.first_seen_ms:
            if name not in self._asking and now_ms - self._asked_ms.get(name, -_ASK_EVERY_MS) >= _ASK_EVERY_MS:
                self._asking.add(name)
                self._asked_ms[name] = now_ms
                self._tasks.spawn(self._ask(name), f"ask {name}")
        for action in decide_singletons(self._builds, names, self._memory, self._settings, now_ms):
            log.info("supervisor.acts", action=repr(action))
            self._memory.note(action, now_ms)
            await asyncio.to_thread(self._act, action, names)

    async def _ask(self, actor_name: str) -> None:
        try:
            async with asyncio.timeout(self._settings.singleton_silence_max_ms / 1e3):
                # Finding it is a blocking call, hence the thread.
                actor: Any = await asyncio.to_thread(ray.get_actor, actor_name, NAMESPACE)
                await actor.ping.remote()
        except (RayError, TimeoutError, ValueError) as error:  # ValueError: it is gone
            log.info("supervisor.no_answer", actor_name=actor_name, error=type(error).__name__)
        else:
            self._memory.answered(actor_name, _now_ms())
        finally:
            self._asking.discard(actor_name)

    def _act(self, action: StartSingleton | KillSingleton, names: list[str]) -> None:
        if isinstance(action, StartSingleton):
            name = next_name(action.singleton, names, time.time_ns())
            actor_class: Any = ray.remote(SingletonActor)
            actor_class.options(**singleton_options(name)).remote(self._builds[action.singleton], name.actor_name)
            return
        try:
            ray.kill(ray.get_actor(action.actor_name, NAMESPACE))
        except ValueError:
            log.info("supervisor.already_gone", actor_name=action.actor_name)


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
