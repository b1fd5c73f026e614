"""Every payment gateway: what it says about a key is final, and money moves at most once under it.

The sandbox, and Stripe's adapter against a local Stripe; both over every ledger.
"""

import asyncio
import itertools
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from actors.domain.steps import ChargeResult
from actors.gateway.port import GatewayFault, PaymentGateway
from actors.gateway.sandbox import SandboxGateway
from actors.gateway.stripe_calls import open_calls
from actors.gateway.stripe_gateway import StripeGateway
from persistence.records import LedgerRow
from persistence.stores import Stores
from tests.servers import localstripe as stripe_server
from tests.servers.localstripe import DeafCalls, LocalStripe, localstripe

__all__ = ["localstripe"]

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # of httpx, to Stripe's library
TOTAL = 129_999
SILENCE_S = 2.0


@dataclass
class Case:
    """A gateway with the tokens that make it do what a test wants. `calls` is None for the sandbox."""

    gateway: PaymentGateway
    stores: Stores
    ok: str
    declined: str
    calls: DeafCalls | None = None
    server: LocalStripe | None = None

    async def charge(self, key: str, token: str | None = None, amount: int = TOTAL) -> ChargeResult:
        return await self.gateway.charge(key, amount, "USD", token or self.ok)

    async def charge_unheard(self, key: str, *, declined: bool = False) -> None:
        """The gateway acts, and its answer is lost."""
        if self.calls is None:
            token = "tok_timeout_declines" if declined else "tok_timeout_succeeds"
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(SILENCE_S if await self.slow() else 0.2):
                    await self.charge(key, token)
            return
        self.calls.lose.add("cancel_intent" if declined else "confirm_intent")
        with pytest.raises(GatewayFault):
            await self.charge(key, self.declined if declined else self.ok)

    async def captures(self, order: str) -> list[int]:
        """What was really taken for an order."""
        if self.server is not None:
            return self.server.captured(order)
        rows = await self.stores.ledger.find([f"{order}:capture:{n}" for n in range(1, 4)])
        return [row.amount_minor for row in rows.values() if row.status == "succeeded"]

    async def slow(self) -> bool:
        return type(self.stores.ledger).__name__ != "MemoryLedger"

    async def row(self, key: str) -> LedgerRow | None:
        return (await self.stores.ledger.find([key])).get(key)


@pytest.fixture(params=["sandbox", "stripe"])
async def case(request: pytest.FixtureRequest, stores: Stores) -> AsyncIterator[Case]:
    ticks = itertools.count(time.time_ns() // 1_000_000)
    now_ms = ticks.__next__
    if request.param == "sandbox":
        yield Case(SandboxGateway(stores.ledger, now_ms), stores, "tok_ok", "tok_declined")
        return
    server: LocalStripe = request.getfixturevalue("localstripe")
    real = open_calls(server.key, server.url, 10)
    calls = DeafCalls(real)
    gateway = StripeGateway(calls, stores.ledger, now_ms)  # type: ignore[arg-type]
    yield Case(gateway, stores, stripe_server.OK, stripe_server.DECLINED, calls, server)
    await real.close()


@pytest.fixture
def order() -> str:
    return f"ord_{secrets.token_hex(8)}"


async def test_a_charge_is_made_once_whoever_repeats_it_with_whatever_card(case: Case, order: str) -> None:
    key = f"{order}:capture:1"
    first = await case.charge(key)
    assert (first.status, first.last4, bool(first.reference)) == ("captured", "4242", True)
    assert await case.charge(key) == first
    assert await case.charge(key, case.declined) == first
    row = await case.row(key)
    assert row is not None
    assert (row.kind, row.status, row.amount_minor, row.currency) == ("capture", "succeeded", TOTAL, "USD")


async def test_a_decline_is_for_good(case: Case, order: str) -> None:
    key = f"{order}:capture:1"
    first = await case.charge(key, case.declined)
    assert (first.status, first.reason) == ("declined", "card_declined")
    assert await case.charge(key) == first
    assert (await case.gateway.close_charge(key, TOTAL, "USD")).status == "declined"


async def test_a_token_that_is_none_is_declined(case: Case, order: str) -> None:
    for n, token in enumerate(("nonsense", "pm_absent", "pi_1", "pm_../x")):
        result = await case.charge(f"{order}:capture:{n}", token)
        assert (result.status, result.reason) == ("declined", "invalid_token")


async def test_several_at_once_charge_once(case: Case, order: str) -> None:
    key = f"{order}:capture:1"
    results = await asyncio.gather(*(case.charge(key) for _ in range(5)), return_exceptions=True)
    words = [result for result in results if isinstance(result, ChargeResult)]
    assert words, results
    last = await case.charge(key)
    assert last.status == "captured"
    assert words == [last] * len(words)
    assert await case.captures(order) == [TOTAL]


async def test_a_charge_that_was_closed_is_never_made(case: Case, order: str) -> None:
    key = f"{order}:capture:1"
    assert (await case.gateway.close_charge(key, TOTAL, "USD")).status == "closed"
    assert (await case.charge(key)).status == "closed"
    assert (await case.gateway.close_charge(key, TOTAL, "USD")).status == "closed"
    assert await case.captures(order) == []


async def test_a_charge_that_was_made_cannot_be_closed(case: Case, order: str) -> None:
    key = f"{order}:capture:1"
    first = await case.charge(key)
    assert await case.gateway.close_charge(key, TOTAL, "USD") == first


@pytest.mark.parametrize("close", [False, True])
async def test_an_answer_that_was_lost_is_found_by_its_key(case: Case, order: str, close: bool) -> None:
    key = f"{order}:capture:1"
    await case.charge_unheard(key)
    found = await (case.gateway.close_charge(key, TOTAL, "USD") if close else case.charge(key))
    assert (found.status, found.last4[:2]) == ("captured", "42")
    assert await case.captures(order) == [TOTAL]


@pytest.mark.parametrize("close", [False, True])
async def test_a_decline_that_was_lost_is_found_by_its_key(case: Case, order: str, close: bool) -> None:
    key = f"{order}:capture:1"
    await case.charge_unheard(key, declined=True)
    found = await (case.gateway.close_charge(key, TOTAL, "USD") if close else case.charge(key))
    assert (found.status, found.reason) == ("declined", "card_declined")


async def test_refunds_are_given_once_each(case: Case, order: str) -> None:
    paid = f"{order}:capture:1"
    await case.charge(paid)
    first = await case.gateway.refund(f"{order}:refund:1", paid, 30_000, "USD")
    assert await case.gateway.refund(f"{order}:refund:1", paid, 30_000, "USD") == first
    second = await case.gateway.refund(f"{order}:refund:2", paid, TOTAL - 30_000, "USD")
    assert first.reference != second.reference
    row = await case.row(f"{order}:refund:1")
    assert row is not None
    assert (row.kind, row.status, row.amount_minor, row.of_key) == ("refund", "succeeded", 30_000, paid)


async def test_what_was_not_captured_is_not_given_back(case: Case, order: str) -> None:
    paid, declined = f"{order}:capture:1", f"{order}:capture:2"
    await case.charge(paid)
    await case.charge(declined, case.declined)
    for of_key, amount in ((paid, TOTAL + 1), (declined, 1), (f"{order}:capture:3", 1)):
        with pytest.raises(GatewayFault):
            await case.gateway.refund(f"{order}:refund:9", of_key, amount, "USD")
    assert await case.row(f"{order}:refund:9") is None


async def test_an_order_worth_nothing_is_paid_with_nothing(case: Case, order: str) -> None:
    key = f"{order}:capture:1"
    assert (await case.charge(key, amount=0)).status == "captured"
    assert (await case.gateway.close_charge(key, 0, "USD")).status == "captured"
