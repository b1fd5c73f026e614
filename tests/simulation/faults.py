"""What can go wrong between processes: the way to a store, the network, the payment gateway. All of it from one seed."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from actors.domain.order import PaymentNews, order_of_key
from actors.domain.steps import ChargeResult, RefundResult
from actors.gateway.port import GatewayFault, PaymentGateway
from cluster.errors import ClusterError
from cluster.local_transport import LocalTransport, ServerCall
from persistence.errors import OutcomeUnknown, StoreUnavailable
from persistence.memory.seams import Seams

if TYPE_CHECKING:
    from tests.simulation.world import World

Result = TypeVar("Result")
WRITES = frozenset(
    {
        "append", "fence", "claim", "hand_off", "save", "save_snapshots", "put", "renew", "join", "leave", "bury",
        "delete", "prepare",
    }
)  # fmt: skip
STATEMENT_TIMEOUT_S = 2.0
"""The longest that an orphaned statement runs on."""


@dataclass(slots=True)
class StoreFaults:
    """Chances in [0, 1] for each call of a store."""

    latency_max_ms: float = 4.0
    slow: float = 0.0
    slow_max_ms: float = 600.0
    unavailable: float = 0.0
    """Refused before anything ran."""
    lost: float = 0.0
    """Never ran, and nobody says so."""
    unanswered: float = 0.0
    """Ran, and nobody says so."""
    written_later: float = 0.0
    """Runs later than its caller was told that there is no answer."""


class StoreLink(Seams):
    """One process's connections to the stores.

    A statement that is under way goes on when its caller is frozen, killed or has lost patience: it runs in the
    store's own process.
    """

    __slots__ = ("cut", "faults", "world")

    def __init__(self, world: "World", faults: StoreFaults) -> None:
        super().__init__()
        self.world = world
        self.faults = faults
        self.cut: asyncio.Event | None = None
        """Set while the host cannot reach any store; the event ends it."""

    async def call(self, name: str, statement: Callable[[], Result]) -> Result:
        world = self.world
        if world.calm:
            result = statement()
            world.ran(self, name)
            return result
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        world.spawn(self._carry(name, statement, answer))
        return await answer  # type: ignore[no-any-return]

    async def _carry(self, name: str, statement: Callable[[], Any], answer: "asyncio.Future[Any]") -> None:
        rng, faults, world = self.world.store_rng, self.faults, self.world
        latency_s = rng.uniform(0, faults.latency_max_ms) / 1e3
        if rng.random() < faults.slow:
            latency_s += rng.uniform(0, faults.slow_max_ms) / 1e3
        await asyncio.sleep(latency_s)
        if world.stores_down or (self.cut is not None and not await self._reconnected()):
            _fail(answer, StoreUnavailable(f"{name}: not reached"))
            return
        fate, write = rng.random(), name.rpartition(".")[2] in WRITES
        if fate < faults.unavailable:
            _fail(answer, StoreUnavailable(f"{name}: refused"))
            return
        fate -= faults.unavailable
        if fate < faults.lost:
            world.note(f"lost: {name}", quiet=not write)
            _fail(answer, OutcomeUnknown(f"{name}: no answer"))
            return
        fate -= faults.lost
        if write and fate < faults.written_later:
            world.note(f"written later: {name}")
            _fail(answer, OutcomeUnknown(f"{name}: no answer"))
            await asyncio.sleep(rng.uniform(0, STATEMENT_TIMEOUT_S))
            answer = asyncio.get_running_loop().create_future()
        fate -= faults.written_later
        try:
            result = statement()
        except Exception as error:  # noqa: BLE001 - it is the caller's
            _fail(answer, error)
            return
        world.ran(self, name)
        if 0 <= fate < faults.unanswered:
            world.note(f"unanswered: {name}", quiet=not write)
            _fail(answer, OutcomeUnknown(f"{name}: no answer"))
            return
        await asyncio.sleep(rng.uniform(0, faults.latency_max_ms) / 1e3)
        if self.cut is not None and not await self._reconnected():
            _fail(answer, OutcomeUnknown(f"{name}: no answer"))
            return
        if not answer.done():
            answer.set_result(result)

    async def _reconnected(self) -> bool:
        """Whether the cut ended before the patience of the connection did."""
        if self.cut is None:
            return True
        try:
            async with asyncio.timeout(STATEMENT_TIMEOUT_S):
                await self.cut.wait()
        except TimeoutError:
            return False
        return True


def _fail(answer: "asyncio.Future[Any]", error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
        answer.exception()  # its caller may be dead, and nobody has to hear of that


class SimulatedNetwork(LocalTransport):
    """A network that carries on what a dead process had sent."""

    def __init__(self, world: "World", *, rng: Random, timeout_ms: int) -> None:
        super().__init__(rng=rng, timeout_ms=timeout_ms)
        self._world = world

    def _start(self, name: str, request: bytes) -> "asyncio.Task[bytes]":
        task = self._world.spawn(self._carry(name, request), f"network.{name}")
        self._late.add(task)
        task.add_done_callback(self._arrived)
        return task

    def serve(self, actor_name: str, server: ServerCall) -> None:
        self.listen(actor_name, server)


CALLBACK_LATE_S = 6.0


@dataclass(slots=True)
class GatewayFaults:
    """Chances in [0, 1] for each call of the gateway."""

    refused: float = 0.0
    unanswered: float = 0.0
    slow: float = 0.0
    slow_max_ms: float = 8_000.0
    down: bool = False


@dataclass(slots=True)
class MisbehavingGateway:
    """Someone else's system, with a process of its own: what was asked of it goes on when the asker is dead."""

    world: "World"
    inner: PaymentGateway
    rng: Random
    faults: GatewayFaults = field(default_factory=GatewayFaults)
    callbacks: Random = field(init=False)
    calls_back: bool = field(init=False)
    """Every other seed has a gateway that does."""

    def __post_init__(self) -> None:
        self.callbacks = self.world.rng("callbacks")
        self.calls_back = self.world.seed % 2 == 0

    async def charge(self, key: str, amount_minor: int, currency: str, token: str) -> ChargeResult:
        for _ in range(self.callbacks.choice((0, 1, 1, 2)) if self.calls_back else 0):
            self.world.spawn(self._call_back(key, self.callbacks.uniform(0.0, CALLBACK_LATE_S)))
        return await self._through(key, lambda: self.inner.charge(key, amount_minor, currency, token))

    async def close_charge(self, key: str, amount_minor: int, currency: str) -> ChargeResult:
        return await self._through(key, lambda: self.inner.close_charge(key, amount_minor, currency))

    async def refund(self, key: str, of_key: str, amount_minor: int, currency: str) -> RefundResult:
        return await self._through(key, lambda: self.inner.refund(key, of_key, amount_minor, currency))

    async def close(self) -> None:
        """A host has ended; the gateway has not."""

    async def _call_back(self, key: str, after_s: float) -> None:
        """A callback: too early, in time, late, or twice; if nobody takes it, it is lost."""
        await asyncio.sleep(after_s)
        if self.world.refs is None:
            return
        with contextlib.suppress(ClusterError):
            await self.world.refs.ask(
                "order",
                order_of_key(key),
                PaymentNews(key=key),
                command_id=None,
                idempotency=None,
                actor="gateway",
                deadline_ms=2_000,
            )

    async def _through(self, key: str, call: Callable[[], Awaitable[Result]]) -> Result:
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self.world.spawn(self._serve(key, call, answer))
        return await answer

    async def _serve(self, key: str, call: Callable[[], Awaitable[Result]], answer: "asyncio.Future[Result]") -> None:
        faults, rng = self.faults, self.rng
        await asyncio.sleep(rng.uniform(0.001, 0.02))
        if faults.down or rng.random() < faults.refused:
            self.world.note(f"gateway: refused {key}")
            _fail(answer, GatewayFault("the gateway is not reached"))
            return
        if rng.random() < faults.slow:
            await asyncio.sleep(rng.uniform(0, faults.slow_max_ms) / 1e3)
        try:
            result = await call()
        except GatewayFault as fault:
            _fail(answer, fault)
            return
        if rng.random() < faults.unanswered:
            self.world.note(f"gateway: no answer about {key}")
            _fail(answer, GatewayFault("the gateway gave no answer"))
            return
        await asyncio.sleep(rng.uniform(0.001, 0.02))
        if not answer.done():
            answer.set_result(result)
