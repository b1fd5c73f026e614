"""A Stripe that knows no money: the package `localstripe`, as a process of its own on a free port of the loopback."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from actors.gateway.port import GatewayFault
from actors.gateway.stripe_calls import ORDER_TAG, StripeCalls

_SERVE = """
import socket
from aiohttp import web
from localstripe import resources, server

resources.Store.dump_to_disk = lambda self: None  # its file is one for all users of the machine
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
web.run_app(server.app, sock=listening, print=None)
"""


@dataclass(frozen=True)
class LocalStripe:
    """Where it is, and what it knows."""

    url: str
    key: str = "sk_test_local"

    def captured(self, order_id: str) -> list[int]:
        """What was taken for an order."""
        return [intent["amount"] for intent in self._intents(order_id) if intent["status"] == "succeeded"]

    def open(self, order_id: str) -> int:
        """Intents of an order that could still be charged."""
        ended = ("succeeded", "canceled")
        return sum(intent["status"] not in ended for intent in self._intents(order_id))

    def refunded(self, order_id: str) -> list[int]:
        """What was given back of an order."""
        charges = {
            intent["latest_charge"]["id"]: intent["id"] for intent in self._intents(order_id) if intent["latest_charge"]
        }
        return [refund["amount"] for refund in self._all("refunds") if refund["charge"] in charges]

    def card(self, number: str) -> str:
        """A payment method of this card."""
        card = {"number": number, "exp_month": 12, "exp_year": 2030, "cvc": "123"}
        asked = {"type": "card", "card": card}
        answer = httpx.post(f"{self.url}/v1/payment_methods", json=asked, headers=self._headers(), trust_env=False)
        return str(answer.json()["id"])

    def _intents(self, order_id: str) -> list[dict[str, Any]]:
        return [intent for intent in self._all("payment_intents") if intent["metadata"].get(ORDER_TAG) == order_id]

    def _all(self, kind: str) -> list[dict[str, Any]]:
        path = f"{self.url}/v1/{kind}"
        answer = httpx.get(path, params={"limit": 100_000}, headers=self._headers(), trust_env=False)
        found: list[dict[str, Any]] = answer.json()["data"]
        return found

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


OK = "pm_card_visa"
DECLINED = "pm_card_chargeCustomerFail"
WANTS_ITS_OWNER = "4000002500003155"
"""The number of a card that asks for authentication."""


class DeafCalls:
    """Stripe's calls, of which those named in `lose` are carried out, and their answers lost, once each."""

    def __init__(self, calls: StripeCalls) -> None:
        self._calls = calls
        self.lose: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._calls, name)

        async def perform(*arguments: Any) -> Any:
            try:
                return await call(*arguments)
            finally:
                if name in self.lose:
                    self.lose.discard(name)
                    raise GatewayFault(f"the answer of {name} was lost")

        return perform


@pytest.fixture(scope="session")
def localstripe() -> Iterator[LocalStripe]:
    """One for the whole session: keys are new in every test."""
    server = subprocess.Popen([sys.executable, "-W", "ignore", "-c", _SERVE], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield LocalStripe(f"http://127.0.0.1:{int(server.stdout.readline())}")
    finally:
        server.terminate()
        server.communicate(timeout=10)
