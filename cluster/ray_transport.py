"""Exchanges as calls of detached, named Ray actors. The only place that calls a host through Ray."""

import asyncio
from typing import Any

import ray
from ray.exceptions import RayError

from cluster.errors import HostUnreachable
from persistence.records import HostRow

NAMESPACE = "stampede"


class RayTransport:
    """Calls `exchange(bytes) -> bytes` of the actor that a host's row names.

    Every fault of Ray becomes `HostUnreachable`: even "the actor died" can follow a successful execution. Each
    call has its own deadline, because one to a frozen actor can hang for minutes.
    """

    def __init__(self, *, timeout_ms: int, namespace: str = NAMESPACE) -> None:
        self._timeout_s = timeout_ms / 1e3
        self._namespace = namespace
        self._handles: dict[str, Any] = {}

    async def exchange(self, host: HostRow, request: bytes) -> bytes:
        """See `cluster.transport.Transport`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                handle = self._handles.get(host.actor_name) or await self._find(host.actor_name)
                response: bytes = await handle.exchange.remote(request)
                return response
        except (RayError, TimeoutError, ValueError) as error:  # ValueError: no actor of this name
            self.forget(host)
            raise HostUnreachable(f"{host.actor_name}: {error!r}") from error

    def forget(self, host: HostRow) -> None:
        """Look the actor up again at the next call."""
        self._handles.pop(host.actor_name, None)

    async def _find(self, actor_name: str) -> Any:
        # a blocking call to the GCS: in a thread, or a dead GCS would stop this whole process
        handle = await asyncio.to_thread(ray.get_actor, actor_name, self._namespace)
        self._handles[actor_name] = handle
        return handle
