"""How a saga's asks travel: in process if the entity lives here, through the region otherwise."""

import asyncio
from itertools import count
from typing import Any, cast

import msgspec
import pytest

from actors.domain.steps import Ask, Charge, ChargeResult, Failed
from actors.gateway.port import GatewayFault
from actors.runtime.performer import RegionPerformer
from actors.runtime.settings import RuntimeSettings
from cluster.entity_ref import EntityRefs
from cluster.envelope import Envelope, ReplyEnvelope
from cluster.errors import DeadlineExceeded, OutcomeUnknown
from cluster.region import Region
from tests.unit.runtime import toys
from tests.unit.runtime.toys import Add, Total
from tests.unit.runtime.world import World, run

ASK = Ask(entity_type="tally", entity_id="a@0", command=Add(n=2), command_id="deed")


class FakeRegion:
    def __init__(self, world: World) -> None:
        self.world = world
        self.sent: list[Envelope] = []

    async def ask(self, envelope: Envelope) -> ReplyEnvelope:
        self.sent.append(envelope)
        return await self.world.host.deliver(envelope)


def performer(world: World, region: FakeRegion, *, local: Any = None, gateway: Any = None) -> RegionPerformer:
    ids = count(1)
    nothing: Any = None
    return RegionPerformer(
        refs=EntityRefs(region=cast("Region", region), clock=world.clock, new_id=lambda: f"p{next(ids)}"),
        types={type_.name: type_ for type_ in toys.TYPES},
        prices=nothing,
        gateway=gateway,
        settings=RuntimeSettings(gateway_timeout_ms=500),
        local=local,
    )


def test_an_entity_of_this_host_is_asked_without_the_region() -> None:
    async def scenario() -> None:
        world = World()
        region = FakeRegion(world)
        await world.claim(0)
        asks = performer(world, region, local=world.host)
        assert await asks.perform(ASK, world.envelope("tally", "o@0")) == Total(total=2, version=1)
        assert region.sent == []
        (event,) = world.journal("orders")
        assert (event.command_id, event.correlation_id, event.causation_id) == ("deed", "flow", "c1")

    run(scenario)


def test_what_gets_no_answer_here_goes_to_the_region_as_the_same_message() -> None:
    async def scenario() -> None:
        world = World()
        region = FakeRegion(world)
        await world.claim(0)

        class Elsewhere:
            seen: Envelope

            def deliver_local(self, envelope: Envelope, command: Any) -> "asyncio.Future[Any]":
                self.seen = envelope
                future = asyncio.get_running_loop().create_future()
                future.set_exception(OutcomeUnknown())
                return future

        here = Elsewhere()
        asks = performer(world, region, local=here)
        assert await asks.perform(ASK, world.envelope("tally", "o@0")) == Total(total=2, version=1)
        (sent,) = region.sent
        assert (sent.message_id, sent.not_after_ms) == (here.seen.message_id, here.seen.not_after_ms)
        assert msgspec.msgpack.decode(sent.payload, type=toys.Command) == Add(n=2)

    run(scenario)


def test_a_deadline_that_passed_here_has_passed_everywhere() -> None:
    async def scenario() -> None:
        world = World()
        region = FakeRegion(world)

        class Late:
            def deliver_local(self, envelope: Envelope, command: Any) -> "asyncio.Future[Any]":
                future = asyncio.get_running_loop().create_future()
                future.set_exception(DeadlineExceeded())
                return future

        with pytest.raises(DeadlineExceeded):
            await performer(world, region, local=Late()).perform(ASK, world.envelope("tally", "o@0"))
        assert region.sent == []

    run(scenario)


def test_a_gateway_that_fails_or_hangs_is_an_unknown_outcome() -> None:
    charge = Charge(key="k", amount_minor=1, currency="EUR", token="tok")

    class Gateway:
        async def charge(self, key: str, amount_minor: int, currency: str, token: str) -> ChargeResult:
            if token == "tok":
                raise GatewayFault
            await asyncio.sleep(60)
            raise AssertionError

    async def scenario() -> None:
        world = World()
        asks = performer(world, FakeRegion(world), gateway=Gateway())
        origin = world.envelope("tally", "o@0")
        result = await asks.perform(charge, origin)
        assert isinstance(result, Failed)
        assert result.may_have_run
        with pytest.raises(TimeoutError):
            await asks.perform(msgspec.structs.replace(charge, token="slow"), origin)

    run(scenario)
