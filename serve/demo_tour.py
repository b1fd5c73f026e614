"""One tour's client: asks, checks the status, and prints one line a step."""

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import httpx
import msgspec
from rich.console import Console
from rich.markup import escape

BUSY_ATTEMPTS_MAX: Final = 5
SETTLES_WITHIN_S: Final = 2.0

Json = dict[str, Any]
_encoder: Final = msgspec.json.Encoder(decimal_format="number")


class Mismatch(Exception):
    """A step was answered otherwise than it should be; the message says how."""


@dataclass
class Tour:
    """What the steps share: the client, who is logged in, and what was bought."""

    client: httpx.AsyncClient
    console: Console
    customer: dict[str, str] = field(default_factory=dict)
    admin: dict[str, str] = field(default_factory=dict)
    user_id: str = ""
    sku: str = ""
    product_id: str = ""
    order: Json = field(default_factory=dict)

    async def step(
        self,
        name: str,
        method: str,
        path: str,
        *,
        expect: int,
        shown: Callable[[Json], str],
        body: Json | None = None,
        headers: dict[str, str] | None = None,
    ) -> Json:
        """Ask, check the status, print one line. Raises `Mismatch`. Every POST has a key, so repeating it is safe."""
        sent = {"Idempotency-Key": secrets.token_hex(12), **(headers or {})} if method == "POST" else headers
        began_ns = time.perf_counter_ns()
        answer = await self._patiently(method, path, body, sent)
        took_ms = (time.perf_counter_ns() - began_ns) / 1e6
        if answer.status_code != expect:
            raise Mismatch(f"{name}: expected {expect}, got {answer.status_code} {answer.text[:300]}")
        found: Json = json.loads(answer.content, parse_float=Decimal)
        self._print(name, f"{answer.status_code} {shown(found)}", took_ms)
        return found

    async def _patiently(
        self, method: str, path: str, body: Json | None, headers: dict[str, str] | None
    ) -> httpx.Response:
        # Amounts go back as the exact numbers they came as.
        content = None if body is None else _encoder.encode(body)
        sent = headers if body is None else {"Content-Type": "application/json", **(headers or {})}
        for attempt in range(1, BUSY_ATTEMPTS_MAX + 1):
            answer = await self.client.request(method, f"/api/v1{path}", content=content, headers=sent)
            if answer.status_code not in {429, 503} or attempt == BUSY_ATTEMPTS_MAX:
                break
            await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))
        return answer

    async def settles(
        self,
        name: str,
        path: str,
        holds: Callable[[Json], bool],
        shown: Callable[[Json], str],
        *,
        headers: dict[str, str] | None = None,
        within_s: float = SETTLES_WITHIN_S,
    ) -> Json:
        """Ask until it holds: what the platform promises soon after its answer. Raises `Mismatch`.

        `headers`: of whoever asks, the customer if absent. Most of it is promised within a second.
        """
        began_ns = time.perf_counter_ns()
        while True:
            answer = await self._patiently("GET", path, None, self.customer if headers is None else headers)
            found: Json = answer.json()
            took_ms = (time.perf_counter_ns() - began_ns) / 1e6
            if answer.is_success and holds(found):
                self._print(name, shown(found), took_ms)
                return found
            if took_ms > within_s * 1e3:
                raise Mismatch(f"{name}: not so within {within_s:g} s, still {answer.text[:300]}")
            await asyncio.sleep(0.02 if took_ms < 1e3 else 0.2)

    def agree(self, name: str, expected: object, got: object) -> None:
        """Raises `Mismatch` unless they are equal."""
        if expected != got:
            raise Mismatch(f"{name}: expected {expected}, got {got}")

    def _print(self, name: str, answer: str, took_ms: float) -> None:
        line = f"[green]✓[/green] {escape(name):<44} {escape(answer)} [dim]{took_ms:.1f} ms[/dim]"
        self.console.print(line, highlight=False, soft_wrap=True)
