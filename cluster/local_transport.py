"""Hosts in one process, and a network between them that can be as bad as a test wants it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from cluster.errors import HostUnreachable
from persistence.records import HostRow

ServerCall = Callable[[bytes], Awaitable[bytes]]


@dataclass(slots=True)
class NetworkFaults:
    """Chances in [0, 1] for each exchange, and the range of the delay each way; different delays reorder."""

    drop_request: float = 0.0
    drop_reply: float = 0.0
    duplicate: float = 0.0
    delay_min_ms: float = 0.0
    delay_max_ms: float = 0.0


class LocalTransport:
    """Exchange servers by actor name. Every fault comes from the seeded `rng`; without faults none is drawn.

    A dropped exchange, and one to a frozen host, is noticed when the time-out has passed, as in production;
    one to a host that is not there at once.
    """

    def __init__(self, *, rng: Random | None = None, timeout_ms: int = 3_000) -> None:
        self.faults = NetworkFaults()
        self._rng = rng or Random(0)  # noqa: S311 - faults have to be reproducible
        self._timeout_s = timeout_ms / 1e3
        self._servers: dict[str, ServerCall] = {}
        self._frozen: dict[str, asyncio.Event] = {}
        self._late: set[asyncio.Task[bytes]] = set()

    def listen(self, actor_name: str, server: ServerCall) -> None:
        """A host can be reached under this name from now on."""
        self._servers[actor_name] = server

    def kill(self, actor_name: str) -> None:
        """The host's process is gone: exchanges under way fail, as do all later ones."""
        self._servers.pop(actor_name, None)
        self.thaw(actor_name)

    def freeze(self, actor_name: str) -> None:
        """What arrives from now on waits until `thaw`, and is delivered then, however late."""
        self._frozen.setdefault(actor_name, asyncio.Event())

    def thaw(self, actor_name: str) -> None:
        """Deliver what has waited."""
        if (gate := self._frozen.pop(actor_name, None)) is not None:
            gate.set()

    def forget(self, host: HostRow) -> None:
        """Nothing is cached here."""

    async def exchange(self, host: HostRow, request: bytes) -> bytes:
        """See `cluster.transport.Transport`."""
        name = host.actor_name
        if name not in self._servers:
            raise HostUnreachable(f"{name} is not there")
        faults, rng = self.faults, self._rng
        calls = 2 if faults.duplicate and rng.random() < faults.duplicate else 1
        drop_request = bool(faults.drop_request) and rng.random() < faults.drop_request
        drop_reply = bool(faults.drop_reply) and rng.random() < faults.drop_reply
        deliveries = [] if drop_request else [self._start(name, request) for _ in range(calls)]
        try:
            async with asyncio.timeout(self._timeout_s):
                if not deliveries:
                    await asyncio.Event().wait()
                response = await asyncio.shield(deliveries[0])
                if drop_reply:
                    await asyncio.Event().wait()
                return response
        except TimeoutError:
            raise HostUnreachable(f"{name} did not answer") from None

    def _start(self, name: str, request: bytes) -> "asyncio.Task[bytes]":
        task = asyncio.get_running_loop().create_task(self._carry(name, request), name=f"network.{name}")
        self._late.add(task)  # a caller that gave up does not call back what is on its way
        task.add_done_callback(self._arrived)
        return task

    def _arrived(self, task: "asyncio.Task[bytes]") -> None:
        self._late.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be waiting any more

    async def _carry(self, name: str, request: bytes) -> bytes:
        await self._delay()
        await self._thawed(name)
        server = self._servers.get(name)
        if server is None:
            raise HostUnreachable(f"{name} is not there")
        response = await server(request)
        await self._thawed(name)
        if self._servers.get(name) is not server:
            raise HostUnreachable(f"{name} died before it answered")
        await self._delay()
        return response

    async def _thawed(self, name: str) -> None:
        while (gate := self._frozen.get(name)) is not None:
            await gate.wait()

    async def _delay(self) -> None:
        if self.faults.delay_max_ms:
            await asyncio.sleep(self._rng.uniform(self.faults.delay_min_ms, self.faults.delay_max_ms) / 1e3)
