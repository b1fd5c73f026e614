"""Does what sagas ask for outside their entity: commands to other entities, prices, the payment gateway."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, assert_never

import msgspec

from actors.domain.steps import Ask, Charge, CloseCharge, Failed, Price, Priced, Refund
from actors.gateway.port import GatewayFault, PaymentGateway
from actors.runtime.entity_type import EntityType
from actors.runtime.settings import RuntimeSettings
from cluster.entity_ref import EntityRef, EntityRefs
from cluster.envelope import Envelope
from cluster.errors import ClusterError, DeadlineExceeded

ExternalStep: TypeAlias = Ask | Price | Charge | CloseCharge | Refund


class Performer(Protocol):
    """Performs one step. A fault is raised: `ClusterError`, `StoreError` or `TimeoutError`."""

    def perform(self, step: ExternalStep, origin: Envelope) -> Awaitable[Any]:
        """Begin it; `origin` is the command that led to it.

        What is not a coroutine is under way when this returns, and has a `cancel`: it needs no task.
        """


class LocalDelivery(Protocol):
    """The host runtime of this process, if there is one."""

    def deliver_local(self, envelope: Envelope, command: Any) -> "asyncio.Future[Any]":
        """The reply object, or a raised `ClusterError`; `NotMine` if the entity lives elsewhere."""


class Prices(Protocol):
    """The catalog, as the checkout sees it."""

    async def newest(self, skus: Sequence[str]) -> Mapping[str, Priced]:
        """The newest price of each SKU that can be bought. Raises `StoreError`."""


class LocalFirst:
    """The answer of an entity of this host; if that gives none, the region's.

    It is an awaitable that is under way already, so that many can be awaited one after the other without a task each.
    """

    __slots__ = ("_elsewhere", "_here")

    def __init__(self, here: "asyncio.Future[Any]", elsewhere: Callable[[], Awaitable[Any]]) -> None:
        self._here = here
        self._elsewhere = elsewhere

    def __await__(self) -> Generator[Any, None, Any]:
        try:
            return (yield from self._here.__await__())
        except DeadlineExceeded:
            raise
        except ClusterError:
            pass  # definite or not: a resend of the same message is safe, and the region knows where to
        return (yield from self._elsewhere().__await__())

    def cancel(self) -> None:
        """Nobody waits for it any more; the command runs on."""
        self._here.cancel()


class RegionPerformer:
    """The performer of a real host.

    An entity of this very host is asked in process, nothing is encoded; whatever goes wrong there is taken to the
    region with the same envelope, for the region owns the retries.
    """

    def __init__(
        self,
        *,
        refs: EntityRefs,
        types: Mapping[str, EntityType],
        prices: Prices,
        gateway: PaymentGateway,
        settings: RuntimeSettings,
        local: LocalDelivery | None = None,
    ) -> None:
        self._refs = refs
        self._types = types
        self._prices = prices
        self._gateway = gateway
        self._settings = settings
        self._local = local
        self._encoder = msgspec.msgpack.Encoder()
        self._decoders = {name: msgspec.msgpack.Decoder(type_.replies) for name, type_ in types.items()}

    def perform(self, step: ExternalStep, origin: Envelope) -> Awaitable[Any]:
        """Start it; gateway calls end with `TimeoutError` after their time."""
        match step:
            case Ask():
                return self._ask(step, origin)
            case Price():
                return self._prices.newest(step.skus)
            case Charge():
                return self._timed(self._gateway.charge(step.key, step.amount_minor, step.currency, step.token))
            case CloseCharge():
                return self._timed(self._gateway.close_charge(step.key, step.amount_minor, step.currency))
            case Refund():
                return self._timed(self._gateway.refund(step.key, step.of_key, step.amount_minor, step.currency))
            case _:
                assert_never(step)

    def _ask(self, step: Ask, origin: Envelope) -> Awaitable[Any]:
        routing_key = self._types[step.entity_type].routing_key(step.entity_id)
        ref = self._refs.ref(step.entity_type, step.entity_id, routing_key)
        envelope = ref.envelope(
            b"",
            command_id=step.command_id,
            correlation_id=origin.correlation_id,
            causation_id=origin.command_id,
            traceparent=origin.traceparent,
            actor=origin.actor,
            timeout_ms=self._settings.ask_timeout_ms,
        )

        def through_region() -> Awaitable[Any]:
            return self._through_region(ref, envelope, step)

        if self._local is None:
            return through_region()
        return LocalFirst(self._local.deliver_local(envelope, step.command), through_region)

    async def _through_region(self, ref: EntityRef, envelope: Envelope, step: Ask) -> Any:
        sent = msgspec.structs.replace(envelope, payload=self._encoder.encode(step.command))
        reply = await ref.ask(sent)
        return self._decoders[step.entity_type].decode(reply.payload)

    async def _timed(self, call: Awaitable[Any]) -> Any:
        try:
            async with asyncio.timeout(self._settings.gateway_timeout_ms / 1e3):
                return await call
        except GatewayFault:
            return Failed(code="gateway-unavailable", may_have_run=True)
