"""The built-in gateway: no network, a durable ledger of its own, and tokens that misbehave on purpose.

| token | what happens |
|---|---|
| `tok_ok` | captured |
| `tok_declined`, `tok_insufficient_funds` | declined, with that reason |
| `tok_timeout_succeeds` | the charge is made, and no answer comes; a repeat of the key is told |
| `tok_timeout_declines` | the charge is declined, and no answer comes; a repeat of the key is told |
| `tok_error_once` | fails once without a trace, then succeeds with the same key |
| anything else | declined, `invalid_token` |

It stands for someone else's system: nothing of ours reads its ledger except the audit, which compares.
"""

import asyncio
import hashlib
from collections.abc import Callable

from actors.domain.steps import ChargeResult, RefundResult
from actors.gateway.port import GatewayFault
from persistence.errors import StoreError
from persistence.ports import Ledger
from persistence.records import LedgerRow

LAST4 = {"tok_ok": "4242", "tok_timeout_succeeds": "4259", "tok_error_once": "4119"}
DECLINES = {
    "tok_declined": "card_declined",
    "tok_insufficient_funds": "insufficient_funds",
    "tok_timeout_declines": "card_declined",
}
SILENT = frozenset({"tok_timeout_succeeds", "tok_timeout_declines"})
SILENCE_S = 60.0
"""Longer than any caller waits."""
ROWS_AT_ONCE_MAX = 1_000
WAITING_MAX = 50_000
FAILED_ONCE_MAX = 10_000


class SandboxGateway:
    """Writes what was decided under each key to the ledger, many rows a statement.

    The first row under a key stands, whoever wrote it: so charging, closing and repeating never contradict.
    """

    def __init__(self, ledger: Ledger, now_ms: Callable[[], int]) -> None:
        self._ledger = ledger
        self._now_ms = now_ms
        self._waiting: list[tuple[LedgerRow, asyncio.Future[LedgerRow]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._failed_once: set[str] = set()

    async def charge(self, key: str, amount_minor: int, currency: str, token: str) -> ChargeResult:
        """See `PaymentGateway`."""
        if token == "tok_error_once" and key not in self._failed_once:  # noqa: S105 - the name of a test token
            if len(self._failed_once) >= FAILED_ONCE_MAX:
                self._failed_once.clear()  # some fail twice then
            self._failed_once.add(key)
            raise GatewayFault("the sandbox fails once for this token")
        reason = DECLINES.get(token, "" if token in LAST4 else "invalid_token")
        row = LedgerRow(
            key=key,
            kind="capture",
            status="declined" if reason else "succeeded",
            amount_minor=amount_minor,
            currency=currency,
            reference=reference_of(key),
            reason=reason,
            last4=LAST4.get(token, ""),
            at_ms=self._now_ms(),
        )
        stands = await self._put(row)
        if stands is row and token in SILENT:
            await asyncio.sleep(SILENCE_S)
            raise GatewayFault("the sandbox does not answer for this token")
        return _result(stands)

    async def close_charge(self, key: str, amount_minor: int, currency: str) -> ChargeResult:
        """See `PaymentGateway`."""
        row = LedgerRow(
            key=key,
            kind="capture",
            status="closed",
            amount_minor=amount_minor,
            currency=currency,
            reference=reference_of(key),
            reason="closed",
            last4="",
            at_ms=self._now_ms(),
        )
        return _result(await self._put(row))

    async def refund(self, key: str, of_key: str, amount_minor: int, currency: str) -> RefundResult:
        """See `PaymentGateway`. Raises `GatewayFault` also if there is no capture to give back from."""
        capture = await self._find(of_key)
        if capture is None or capture.status != "succeeded" or amount_minor > capture.amount_minor:
            raise GatewayFault(f"nothing was captured under {of_key} that covers this refund")
        row = LedgerRow(
            key=key,
            kind="refund",
            status="succeeded",
            amount_minor=amount_minor,
            currency=currency,
            reference=reference_of(key),
            reason="",
            last4=capture.last4,
            at_ms=self._now_ms(),
            of_key=of_key,
        )
        return RefundResult(reference=(await self._put(row)).reference)

    async def close(self) -> None:
        """Nothing: the ledger is not its own."""

    async def _find(self, key: str) -> LedgerRow | None:
        try:
            return (await self._ledger.find([key])).get(key)
        except StoreError as error:
            raise GatewayFault("the sandbox's ledger cannot be read") from error

    async def _put(self, row: LedgerRow) -> LedgerRow:
        """What stands under the row's key afterwards: `row` itself (the same object) if it was the first."""
        if len(self._waiting) >= WAITING_MAX:
            raise GatewayFault("the sandbox is overloaded")
        done: asyncio.Future[LedgerRow] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="sandbox-gateway")
        stands = await done
        return row if stands == row else stands

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:ROWS_AT_ONCE_MAX], self._waiting[ROWS_AT_ONCE_MAX:]
                await self._write_batch(batch)
        finally:
            self._writer = None

    async def _write_batch(self, batch: list[tuple[LedgerRow, asyncio.Future[LedgerRow]]]) -> None:
        rows: dict[str, LedgerRow] = {}
        for row, _done in batch:
            rows.setdefault(row.key, row)
        try:
            stand = await self._ledger.put(list(rows.values()))
        except StoreError as error:
            for _row, done in batch:
                if not done.done():
                    done.set_exception(GatewayFault(f"the sandbox's ledger did not answer: {type(error).__name__}"))
            return
        for row, done in batch:
            if not done.done():
                done.set_result(stand[row.key])


def reference_of(key: str) -> str:
    """The gateway's own name for a movement."""
    return "sb_" + hashlib.blake2b(key.encode(), digest_size=10).hexdigest()


def _result(row: LedgerRow) -> ChargeResult:
    if row.status == "closed":
        return ChargeResult(status="closed", reference=row.reference, reason="closed")
    if row.status == "declined":
        return ChargeResult(status="declined", reference=row.reference, reason=row.reason, last4=row.last4)
    return ChargeResult(status="captured", reference=row.reference, last4=row.last4)
