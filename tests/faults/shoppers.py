"""Load for a platform that is being hurt, and the check that what it told its clients is true afterwards.

Each shopper does one deed after the other and repeats every request with its key until it gets an answer that means
something. So in the end everything is known: which orders there are, in which status, and how much stock is gone.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from secrets import token_hex
from typing import Final, Literal

import httpx

from tests.live_shop import Json, LiveShop, expect, new_cart, order_body, settles

Kind = Literal["paid", "declined", "slow", "later", "cancelled", "refused"]
KINDS: Final[tuple[Kind, ...]] = (
    *("paid",) * 8, *("later",) * 3, *("cancelled",) * 3, *("declined",) * 2, *("refused",) * 2, "slow",
)  # fmt: skip
TOKENS: Final[dict[Kind, str | None]] = {
    "paid": "tok_ok", "declined": "tok_declined", "slow": "tok_timeout_succeeds", "later": None,
    "cancelled": "tok_ok", "refused": "tok_ok",
}  # fmt: skip
ENDS: Final[dict[Kind, str]] = {
    "paid": "confirmed", "declined": "payment_failed", "slow": "confirmed", "later": "confirmed",
    "cancelled": "cancelled", "refused": "",
}  # fmt: skip
REPEATED: Final = frozenset({429, 500, 502, 503, 504})
PATIENCE_S: Final = 60.0
THINK_MAX_S: Final = 0.2
UNITS_MAX: Final = 3
SETTLES_WITHIN_S: Final = 30.0


@dataclass(frozen=True)
class Attempt:
    """One request. Status 0: the connection broke, or nobody listened."""

    began_s: float
    ended_s: float
    status: int
    code: str


@dataclass
class Deed:
    """One order and what became of it, as its client knows it."""

    kind: Kind
    items: dict[str, int]
    key: str = field(default_factory=lambda: token_hex(12))
    cart_id: str = field(default_factory=new_cart)
    order: Json = field(default_factory=dict)
    done: bool = False

    @property
    def body(self) -> Json:
        """What was sent."""
        return order_body(self.items, self.cart_id, TOKENS[self.kind])


class Crowd:
    """Shoppers at work on one platform, and their log."""

    def __init__(self, shop: LiveShop, stock: dict[str, int], seed: int) -> None:
        """`stock` has the units on hand of every SKU that they buy, and that nobody else buys. The last one is scarce."""
        self.deeds: list[Deed] = []
        self.attempts: list[Attempt] = []
        self._shop = shop
        self._stock = stock
        *self._plenty, self._scarce = stock
        self._random = random.Random(seed)
        self._leaving = asyncio.Event()

    @asynccontextmanager
    async def at_work(self, shoppers: int) -> AsyncIterator[None]:
        """They shop inside; on leaving, each ends the deed it is at."""
        async with asyncio.TaskGroup() as group:
            for _ in range(shoppers):
                group.create_task(self._shop_on())
            try:
                yield
            finally:
                self._leaving.set()

    async def succeed(self, deeds: int, within_s: float = PATIENCE_S) -> None:
        """Wait until so many more deeds are done."""
        wanted = sum(deed.done for deed in self.deeds) + deeds
        deadline = time.monotonic() + within_s
        while sum(deed.done for deed in self.deeds) < wanted:
            assert time.monotonic() < deadline, f"{deeds} more orders took more than {within_s} s; {self.summary()}"
            await asyncio.sleep(0.02)

    def refused_after(self, instant_s: float) -> float:
        """How long after `instant_s` a request that was sent then still failed (s); 0 if none did."""
        failed = [each.began_s for each in self.attempts if each.began_s >= instant_s and _failed(each)]
        return max(failed, default=instant_s) - instant_s

    def silence_after(self, instant_s: float) -> float:
        """The longest time after `instant_s` in which no request ended well (s)."""
        ends = sorted(each.ended_s for each in self.attempts if each.ended_s >= instant_s and not _failed(each))
        return max((later - earlier for earlier, later in pairwise([instant_s, *ends])), default=float("inf"))

    def failures_since(self, instant_s: float) -> dict[str, int]:
        """How many requests ended otherwise than they should have, by status and code."""
        found: dict[str, int] = {}
        for each in self.attempts:
            if each.ended_s >= instant_s and _failed(each):
                name = f"{each.status} {each.code}".strip()
                found[name] = found.get(name, 0) + 1
        return found

    def summary(self) -> str:
        """For a failed assertion."""
        return f"{sum(deed.done for deed in self.deeds)} of {len(self.deeds)} deeds done, {self.failures_since(0)}"

    # --- the check -----------------------------------------------------------------------------------

    async def check(self) -> None:
        """Everything that was answered is true, nothing else happened to the stock, repeats are answered alike."""
        assert self.deeds
        assert all(deed.done for deed in self.deeds), self.summary()
        wrong = [found for found in await _gather([self._wrong(deed) for deed in self.deeds]) if found]
        assert wrong == []
        for sku, units in self._stock.items():
            sold = sum(deed.items.get(sku, 0) for deed in self.deeds if ENDS[deed.kind] == "confirmed")
            level = {"onHand": units - sold, "reserved": 0, "available": units - sold}

            async def ask(sku: str = sku) -> Json:
                return await self._shop.stock(sku)

            def agrees(found: Json, level: Json = level) -> bool:
                return all(found[name] == level[name] for name in level)

            await settles(ask, agrees, SETTLES_WITHIN_S)
        sample = self._random.sample(self.deeds, min(10, len(self.deeds)))
        assert [found for found in await _gather([self._repeat(deed) for deed in sample]) if found] == []

    async def _wrong(self, deed: Deed) -> str:
        if deed.kind == "refused":
            return ""
        answer = await self._shop.get_order(deed.order["id"], deed.cart_id)
        if answer.status_code != 200:
            return f"{deed}: {answer.status_code}"
        return "" if answer.json()["status"] == ENDS[deed.kind] else f"{deed}: is {answer.json()['status']}"

    async def _repeat(self, deed: Deed) -> str:
        sent = {"Idempotency-Key": deed.key}
        answer = await self._shop.client.post("/orders", json=deed.body, headers=sent)
        expected = {"declined": 402, "refused": 409}.get(deed.kind, 201)
        found = answer.json().get("orderId" if deed.kind == "declined" else "id")
        same = answer.status_code == expected and found == deed.order.get("id")
        return "" if same else f"{deed}: repeated, {answer.status_code} {answer.text}"

    # --- one shopper ---------------------------------------------------------------------------------

    async def _shop_on(self) -> None:
        while not self._leaving.is_set():
            deed = self._next()
            self.deeds.append(deed)
            await self._do(deed)
            await asyncio.sleep(self._random.random() * THINK_MAX_S)

    def _next(self) -> Deed:
        kind = self._random.choice(KINDS)
        skus = self._random.sample(self._plenty, self._random.randint(1, len(self._plenty)))
        items = {sku: self._random.randint(1, UNITS_MAX) for sku in skus}
        if kind == "refused":
            items[self._scarce] = self._stock[self._scarce] + 1
        return Deed(kind=kind, items=items)

    async def _do(self, deed: Deed) -> None:
        sent = {"Idempotency-Key": deed.key}
        answer = await self._patiently(lambda: self._shop.client.post("/orders", json=deed.body, headers=sent))
        if deed.kind == "refused":
            assert expect(answer, 409)["code"] == "insufficient-stock"
            deed.done = True
            return
        if answer.status_code == 402:
            assert deed.kind == "declined"
            deed.order = {"id": answer.json()["orderId"]}
        else:
            assert answer.status_code in {201, 202}, f"{deed}: {answer.text}"
            deed.order = answer.json()
        if answer.status_code == 202:
            await self._until_known(deed)
        if deed.kind == "later":
            assert deed.order["status"] == "pending"
            paid = await self._patiently(lambda: self._shop.pay(deed.order, key=f"{deed.key}-pay"))
            assert paid.status_code == 201, f"{deed}: {paid.text}"
        if deed.kind == "cancelled":
            ended = await self._patiently(lambda: self._shop.cancel(deed.order["id"], key=f"{deed.key}-cancel"))
            assert ended.status_code in {200, 202}, f"{deed}: {ended.text}"
        deed.done = True

    async def _until_known(self, deed: Deed) -> None:
        """202: the order stands and settles by itself."""
        deadline = time.monotonic() + PATIENCE_S
        while deed.order["status"] == "pending":
            assert time.monotonic() < deadline, f"{deed} stays pending"
            await asyncio.sleep(0.2)
            answer = await self._patiently(lambda: self._shop.get_order(deed.order["id"], deed.cart_id))
            deed.order = expect(answer, 200)

    async def _patiently(self, ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        """Repeat the same request, with its key, until the answer says what became of it."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            began_s = time.monotonic()
            try:
                answer = await ask()
            except httpx.TransportError as error:
                self.attempts.append(Attempt(began_s, time.monotonic(), 0, type(error).__name__))
                pause_s = 0.2
            else:
                code = str(answer.json().get("code", "")) if answer.status_code >= 400 else ""
                self.attempts.append(Attempt(began_s, time.monotonic(), answer.status_code, code))
                if answer.status_code not in REPEATED and code != "request-in-progress":
                    return answer
                pause_s = min(1.0, float(answer.headers.get("retry-after", "0.2")))
            assert time.monotonic() < deadline, f"no answer within {PATIENCE_S} s: {self.attempts[-1]}"
            await asyncio.sleep(pause_s * (0.5 + self._random.random() / 2))


def _failed(attempt: Attempt) -> bool:
    return attempt.status == 0 or (attempt.status in REPEATED and attempt.status != 429)


async def _gather(asked: list[Awaitable[str]]) -> list[str]:
    return list(await asyncio.gather(*asked))
