"""The bounds of an exchange, on both sides."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

import pytest

from cluster.envelope import Envelope, ReplyEnvelope
from cluster.errors import HostUnreachable, OutcomeUnknown, Overloaded
from cluster.exchange import ExchangeClient, NotSent
from cluster.exchange_server import ExchangeServer
from cluster.observability import ClusterMetrics
from cluster.settings import ClusterSettings
from cluster.wire import pack, pack_request, unpack_request, unpack_response
from tests.simulation.virtual_loop import run_virtual

Handler = Callable[[Envelope], Awaitable[ReplyEnvelope]]


def envelope(message_id: str, size: int = 1) -> Envelope:
    return Envelope(
        message_id=message_id,
        command_id=message_id,
        entity_type="t",
        entity_id="e",
        routing_key="e",
        payload=b"x" * size,
        not_after_ms=0,
        correlation_id="",
    )


async def echo(message: Envelope) -> ReplyEnvelope:
    return ReplyEnvelope(message_id=message.message_id, kind="ok", payload=message.payload)


class Wire:
    """A client and a server, with what passes between them on record."""

    def __init__(self, handler: Handler = echo, settings: ClusterSettings | None = None) -> None:
        settings = settings or ClusterSettings()
        self.server = ExchangeServer(handler, settings=settings)
        self.batches: list[int] = []
        self.sizes: list[int] = []
        self.outstanding = self.outstanding_max = 0
        self.broken = False
        sessions = count()
        self.client = ExchangeClient(
            call=self.call, new_session=lambda: f"s{next(sessions)}", settings=settings, metrics=ClusterMetrics()
        )

    async def call(self, request: bytes) -> bytes:
        if self.broken:
            raise HostUnreachable("broken")
        self.batches.append(len(unpack_request(request).envelopes))
        self.sizes.append(len(request))
        self.outstanding += 1
        self.outstanding_max = max(self.outstanding_max, self.outstanding)
        try:
            await asyncio.sleep(0.001)
            response = await self.server.exchange(request)
            if self.broken:
                raise HostUnreachable("broken")
            return response
        finally:
            self.outstanding -= 1

    async def ask(self, message_id: str, timeout_s: float = 5.0, size: int = 1) -> ReplyEnvelope:
        return await self.client.ask(envelope(message_id, size), timeout_s)


def test_what_is_asked_together_travels_together_within_the_bound_of_envelopes() -> None:
    async def scenario() -> None:
        wire = Wire()
        replies = await asyncio.gather(*(wire.ask(f"m{n}") for n in range(1_000)))
        assert [reply.message_id for reply in replies] == [f"m{n}" for n in range(1_000)]
        assert wire.batches[:2] == [256, 256]
        assert max(wire.batches) == 256
        assert wire.outstanding_max == 2

    run_virtual(scenario())


def test_no_exchange_is_larger_than_a_mebibyte() -> None:
    async def scenario() -> None:
        wire = Wire()
        await asyncio.gather(*(wire.ask(f"m{n}", size=300_000) for n in range(10)))
        assert max(wire.sizes) <= 1_048_576 + 1_000
        assert max(wire.batches) == 3
        with pytest.raises(ValueError, match="at most"):
            await wire.ask("huge", size=1_048_576)

    run_virtual(scenario())


def test_a_slow_entity_does_not_hold_up_its_batch_and_one_exchange_stays_parked() -> None:
    async def scenario() -> None:
        slow = asyncio.Event()

        async def handler(message: Envelope) -> ReplyEnvelope:
            if message.message_id == "slow":
                await slow.wait()
            return await echo(message)

        wire = Wire(handler)
        loop = asyncio.get_running_loop()
        waiting = asyncio.create_task(wire.ask("slow", 60))
        await wire.ask("quick")
        assert loop.time() < 0.01
        await asyncio.sleep(5.5)
        assert wire.outstanding_max == 1, "nothing new arrived: one is parked, and comes home each second"
        assert len(wire.batches) <= 8
        began = loop.time()
        await asyncio.gather(*(wire.ask(f"m{n}") for n in range(5)))
        assert loop.time() - began < 0.01
        slow.set()
        await waiting
        await asyncio.sleep(0.01)
        assert wire.outstanding == 0

    run_virtual(scenario())


def test_while_nothing_is_outstanding_there_is_no_exchange() -> None:
    async def scenario() -> None:
        wire = Wire()
        await wire.ask("m")
        calls = len(wire.batches)
        await asyncio.sleep(60)
        assert len(wire.batches) == calls
        assert wire.outstanding == 0
        assert wire.client.idle

    run_virtual(scenario())


def test_when_one_exchange_fails_all_that_was_sent_is_unknown_and_the_rest_was_not_sent() -> None:
    async def scenario() -> None:
        never = asyncio.Event()

        async def handler(_message: Envelope) -> ReplyEnvelope:
            await never.wait()
            raise AssertionError

        wire = Wire(handler)
        first = [asyncio.create_task(wire.ask(f"a{n}", 60)) for n in range(300)]
        await asyncio.sleep(0.5)
        wire.broken = True
        late = [asyncio.create_task(wire.ask(f"b{n}", 60)) for n in range(3)]
        results = await asyncio.gather(*first, *late, return_exceptions=True)
        assert {type(result) for result in results[:300]} == {HostUnreachable}
        assert all(isinstance(result, HostUnreachable | NotSent) for result in results[300:])
        assert isinstance(results[0], OutcomeUnknown)

    run_virtual(scenario())


def test_an_envelope_that_never_left_is_withdrawn_at_its_deadline() -> None:
    async def scenario() -> None:
        never = asyncio.Event()
        arrived: list[str] = []

        async def handler(message: Envelope) -> ReplyEnvelope:
            arrived.append(message.message_id)
            await never.wait()
            raise AssertionError

        settings = ClusterSettings(exchange_envelopes_max=1, exchange_park_ms=2_900)
        wire = Wire(handler, settings)
        asks = [asyncio.create_task(wire.ask(f"m{n}", 0.0005 if n == 2 else 1.0)) for n in range(3)]
        results = await asyncio.gather(*asks, return_exceptions=True)
        assert [type(result) for result in results] == [HostUnreachable, HostUnreachable, NotSent]
        assert sorted(arrived) == ["m0", "m1"]

    run_virtual(scenario())


def test_a_message_that_arrives_again_joins_the_one_in_work() -> None:
    async def scenario() -> None:
        runs: list[str] = []
        go = asyncio.Event()

        async def handler(message: Envelope) -> ReplyEnvelope:
            runs.append(message.message_id)
            await go.wait()
            return await echo(message)

        server = ExchangeServer(handler, settings=ClusterSettings())
        packed = pack(envelope("m"))
        calls = [asyncio.create_task(server.exchange(pack_request(session, [packed]))) for session in ("s1", "s2")]
        await asyncio.sleep(0.1)
        go.set()
        for call in calls:
            assert [reply.message_id for reply in unpack_response(await call).replies] == ["m"]
        assert runs == ["m"]

    run_virtual(scenario())


def test_a_host_with_too_much_in_work_refuses_and_a_fault_in_an_entity_is_unknown() -> None:
    async def scenario() -> None:
        never = asyncio.Event()

        async def handler(message: Envelope) -> ReplyEnvelope:
            if message.message_id == "fault":
                raise ZeroDivisionError
            await never.wait()
            raise AssertionError

        wire = Wire(handler, ClusterSettings(host_outstanding_max=2))
        assert (await wire.ask("fault")).code == OutcomeUnknown.code
        asks = [asyncio.create_task(wire.ask(f"m{n}", 1.0)) for n in range(3)]
        results = await asyncio.gather(*asks, return_exceptions=True)
        assert isinstance(results[2], ReplyEnvelope)
        assert results[2].code == Overloaded.code

    run_virtual(scenario())
