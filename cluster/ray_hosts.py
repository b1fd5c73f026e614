"""`HostReports` over Ray: asks the actors that the hosts' rows name, and those that have names of their own."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import ray
from ray.exceptions import RayError

from cluster.host_reports import Report, Scrape, asked, unpack_families
from cluster.ray_transport import NAMESPACE
from cluster.singletons import SingletonName
from persistence.errors import StoreError
from persistence.records import HostRow

REPORT_TIMEOUT_MS = 1_000


class RayHostReports:
    """Asks every actor at once for `describe()` or `metrics()`, each with a deadline.

    `hosts` reads the hosts' rows; while it cannot, those that were read last are asked. Of `singletons` (their names)
    the newest actor of each is asked. Nothing here raises: who cannot be asked has no answer.
    """

    def __init__(
        self,
        hosts: Callable[[], Awaitable[Sequence[HostRow]]],
        *,
        singletons: Sequence[str] = (),
        timeout_ms: int = REPORT_TIMEOUT_MS,
    ) -> None:
        self._hosts = hosts
        self._singletons = tuple(singletons)
        self._timeout_ms = timeout_ms
        self._known: dict[str, str] = {}
        self._newest = dict.fromkeys(self._singletons, "")
        self._handles: dict[str, Any] = {}

    async def describe(self) -> Sequence[Report]:
        """See `HostReports`."""
        return [Report(process=process, said=said) for process, said in await self._ask("describe")]

    async def metrics(self) -> Sequence[Scrape]:
        """See `HostReports`."""
        return [
            Scrape(process=process, families=None if packed is None else _families(packed))
            for process, packed in await self._ask("metrics")
        ]

    async def _ask(self, method: str) -> list[tuple[str, Any]]:
        actors = await self._actors()

        async def ask(process: str) -> Any:
            name = actors[process]
            try:
                handle = self._handles.get(name) or await self._find(name)
                return await getattr(handle, method).remote()
            except (RayError, ValueError, AttributeError) as error:  # ValueError: no actor of this name
                self._handles.pop(name, None)
                raise ConnectionError(f"{process}: {error!r}") from error

        return await asked(actors, ask, timeout_ms=self._timeout_ms)

    async def _find(self, actor_name: str) -> Any:
        # a blocking call to the GCS: in a thread, or a dead GCS would stop this whole process
        handle = await asyncio.to_thread(ray.get_actor, actor_name, NAMESPACE)
        self._handles[actor_name] = handle
        return handle

    async def _actors(self) -> dict[str, str]:
        try:
            async with asyncio.timeout(self._timeout_ms / 1e3):
                self._known = {row.host: row.actor_name for row in await self._hosts()}
        except (StoreError, TimeoutError):
            pass  # the hosts of the last time are the best guess, and a metric must not depend on the store
        try:
            async with asyncio.timeout(self._timeout_ms / 1e3):
                self._newest = await asyncio.to_thread(_newest, self._singletons)
        except (RayError, TimeoutError):
            pass  # as above
        actors = self._known | self._newest
        self._handles = {name: handle for name, handle in self._handles.items() if name in actors.values()}
        return actors


def _newest(singletons: Sequence[str]) -> dict[str, str]:
    """The newest actor of each; "" for one that has none now."""
    named = ray.util.list_named_actors(all_namespaces=True) if singletons else []
    found = [SingletonName.parse(actor["name"]) for actor in named if actor["namespace"] == NAMESPACE]
    newest = dict.fromkeys(singletons, "")
    for name in sorted(name for name in found if name is not None and name.singleton in newest):
        newest[name.singleton] = name.actor_name
    return newest


def _families(packed: bytes) -> Any:
    try:
        return unpack_families(packed)
    except msgspec.MsgspecError:
        return None  # another version of ours
