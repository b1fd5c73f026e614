"""Stripe's adapter against a local Stripe: whatever fails, wherever, money moves once and the repeat finds out."""

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from actors.gateway.port import GatewayFault
from actors.gateway.stripe_calls import StripeCalls, open_calls
from actors.gateway.stripe_gateway import REFUND_KEY_LIFE_MS, REFUND_KEY_QUIET_MS, StripeGateway
from persistence.errors import StoreUnavailable
from persistence.records import LedgerRow
from persistence.stores import open_memory_stores
from tests.servers.localstripe import DECLINED, OK, WANTS_ITS_OWNER, LocalStripe, localstripe

__all__ = ["localstripe"]

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # of httpx, to Stripe's library
TOTAL = 129_999
POINTS_MAX = 12
TRIES_MAX = 3


@dataclass
class Faults:
    """Fails the n-th thing that is done, before it or after it."""

    at: int = -1
    after: bool = False
    done: int = 0

    async def through(self, call: Callable[[], Awaitable[Any]], fault: Exception) -> Any:
        self.done += 1
        if self.done != self.at:
            return await call()
        if self.after:
            await call()
        raise fault

    @property
    def struck(self) -> bool:
        return self.done >= self.at


@dataclass
class FaultyLedger:
    inner: Any
    faults: Faults

    async def put(self, rows: Sequence[LedgerRow]) -> Mapping[str, LedgerRow]:
        found: Mapping[str, LedgerRow] = await self.faults.through(
            lambda: self.inner.put(rows), StoreUnavailable("planted")
        )
        return found

    async def find(self, keys: Sequence[str]) -> Mapping[str, LedgerRow]:
        found: Mapping[str, LedgerRow] = await self.faults.through(
            lambda: self.inner.find(keys), StoreUnavailable("planted")
        )
        return found

    async def close(self) -> None:
        await self.inner.close()


@dataclass
class FaultyCalls:
    inner: StripeCalls
    faults: Faults

    def __getattr__(self, name: str) -> Any:
        def perform(*arguments: Any) -> Awaitable[Any]:
            return self.faults.through(lambda: getattr(self.inner, name)(*arguments), GatewayFault("planted"))

        return perform


@dataclass
class World:
    """A gateway whose ledger and calls can be made to fail, and whose time a test moves."""

    server: LocalStripe
    calls: StripeCalls
    ledger: Any
    faults: Faults = field(default_factory=Faults)
    now_ms: int = 1_800_000_000_000

    def gateway(self) -> StripeGateway:
        """As a process that has just started has it."""
        calls: Any = FaultyCalls(self.calls, self.faults)
        return StripeGateway(calls, FaultyLedger(self.ledger, self.faults), lambda: self.now_ms)

    async def insist(self, ask: Callable[[StripeGateway], Awaitable[Any]]) -> Any:
        """Ask until there is a word, of another process each time."""
        for _ in range(TRIES_MAX):
            self.now_ms += 1_000
            try:
                return await ask(self.gateway())
            except GatewayFault:
                continue
        raise AssertionError("no word")


@pytest.fixture
async def world(localstripe: LocalStripe) -> AsyncIterator[World]:
    calls = open_calls(localstripe.key, localstripe.url, 10)
    stores = open_memory_stores(lambda: time.time_ns() // 1_000_000)
    yield World(localstripe, calls, stores.ledger)
    await calls.close()


def new_order() -> str:
    return f"ord_{secrets.token_hex(8)}"


@pytest.mark.parametrize("after", [False, True])
async def test_a_charge_that_fails_anywhere_is_made_once(world: World, after: bool) -> None:
    for point in range(1, POINTS_MAX):
        order = new_order()
        world.faults = Faults(point, after)
        result = await world.insist(lambda gateway, order=order: gateway.charge(f"{order}:capture:1", TOTAL, "USD", OK))  # type: ignore[misc]
        assert result.status == "captured", point
        assert world.server.captured(order) == [TOTAL], point
        if not world.faults.struck:
            assert point > 4, "the faults hit nothing: the test is void"
            return
    raise AssertionError("more points than were looked at")


@pytest.mark.parametrize("after", [False, True])
async def test_a_decline_that_fails_anywhere_leaves_nothing_that_could_be_charged(world: World, after: bool) -> None:
    for point in range(1, POINTS_MAX):
        order = new_order()
        world.faults = Faults(point, after)
        result = await world.insist(
            lambda gateway, order=order: gateway.charge(f"{order}:capture:1", TOTAL, "USD", DECLINED)  # type: ignore[misc]
        )
        assert (result.status, result.reason) == ("declined", "card_declined"), point
        # One whose id was lost before it was written down is open for good: nobody can confirm it.
        lost = (point, after) in ((2, True), (3, False))
        assert (world.server.captured(order), world.server.open(order)) == ([], int(lost)), point
        if not world.faults.struck:
            return
    raise AssertionError("more points than were looked at")


@pytest.mark.parametrize("after", [False, True])
async def test_a_refund_that_fails_anywhere_is_given_once(world: World, after: bool) -> None:
    order = new_order()
    await world.insist(lambda gateway: gateway.charge(f"{order}:capture:1", TOTAL, "USD", OK))
    for point in range(1, POINTS_MAX):
        world.faults = Faults(point, after)
        key = f"{order}:refund:{point}"
        given = await world.insist(
            lambda gateway, key=key: gateway.refund(key, f"{order}:capture:1", 100, "USD")  # type: ignore[misc]
        )
        assert given.reference
        assert world.server.refunded(order) == [100] * point
        if not world.faults.struck:
            return
    raise AssertionError("more points than were looked at")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("charged_at", [2, 3, 4])
async def test_closing_what_was_begun_takes_nothing_or_tells_what_was_taken(
    world: World, charged_at: int, after: bool
) -> None:
    order = new_order()
    world.faults = Faults(charged_at, after)
    with pytest.raises(GatewayFault):
        await world.gateway().charge(f"{order}:capture:1", TOTAL, "USD", OK)
    closed = await world.insist(lambda gateway: gateway.close_charge(f"{order}:capture:1", TOTAL, "USD"))
    taken = world.server.captured(order)
    assert (closed.status, taken) in (("captured", [TOTAL]), ("closed", []))
    assert taken == ([TOTAL] if (charged_at, after) == (4, True) else [])
    straggler = await world.gateway().charge(f"{order}:capture:1", TOTAL, "USD", OK)
    assert (straggler.status, world.server.captured(order)) == (closed.status, taken)


async def test_a_card_that_wants_its_owner_is_declined(world: World) -> None:
    order = new_order()
    card = world.server.card(WANTS_ITS_OWNER)
    result = await world.gateway().charge(f"{order}:capture:1", TOTAL, "USD", card)
    assert (result.status, result.reason) == ("declined", "authentication_required")
    assert world.server.open(order) == 0


async def test_a_refund_waits_while_its_first_key_may_still_be_at_work(world: World) -> None:
    order = new_order()
    await world.insist(lambda gateway: gateway.charge(f"{order}:capture:1", TOTAL, "USD", OK))
    world.faults = Faults(at=3)  # written down that it begins, and not sent
    key, paid = f"{order}:refund:1", f"{order}:capture:1"
    with pytest.raises(GatewayFault):
        await world.gateway().refund(key, paid, 100, "USD")
    began_ms = world.now_ms
    world.now_ms = began_ms + REFUND_KEY_LIFE_MS - REFUND_KEY_QUIET_MS
    with pytest.raises(GatewayFault, match="waits"):
        await world.gateway().refund(key, paid, 100, "USD")
    assert world.server.refunded(order) == []
    world.now_ms = began_ms + REFUND_KEY_LIFE_MS
    await world.gateway().refund(key, paid, 100, "USD")
    assert world.server.refunded(order) == [100]
