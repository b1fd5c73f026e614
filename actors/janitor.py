"""Removes what nobody asks for any more: answers of keyed requests, refresh tokens that expired, old messages."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from actors.consumer_settings import JanitorSettings
from persistence.ports import Retention
from persistence.records import ANSWER_SERVICES

log = structlog.get_logger(__name__)

_DAY_MS = 86_400_000
Forget = Callable[[int, int], Awaitable[int]]


class Janitor:
    """A background task of the consumers' process.

    Small statements with pauses between them, so that nobody waits for it; two at once remove the same and do no harm.
    What one round does not reach because a store is away, the next one finds.
    """

    name = "janitor"

    def __init__(
        self, retention: Retention, now_ms: Callable[[], int], settings: JanitorSettings | None = None
    ) -> None:
        self._retention = retention
        self._now_ms = now_ms
        self._settings = settings or JanitorSettings()

    async def run(self) -> None:
        """Sweep for ever. Raises what the store raises."""
        while True:
            await self.sweep()
            await asyncio.sleep(self._settings.interval_ms / 1e3)

    async def sweep(self) -> int:
        """One round; about how many rows are gone."""
        settings, gone = self._settings, 0
        for service in ANSWER_SERVICES:
            gone += await self._forget(partial(self._retention.forget_answers, service), settings.answers_kept_days)
        gone += await self._forget(self._retention.forget_refresh, settings.refresh_kept_days)
        gone += await self._forget(self._retention.forget_messages, settings.messages_kept_days)
        if gone:
            log.info("janitor.removed", rows=gone)
        return gone

    async def _forget(self, forget: Forget, kept_days: int) -> int:
        before_ms = self._now_ms() - kept_days * _DAY_MS
        gone = 0
        while True:
            removed = await forget(before_ms, self._settings.batch_rows_max)
            gone += removed
            if removed < self._settings.batch_rows_max:
                return gone
            await asyncio.sleep(self._settings.batch_pause_ms / 1e3)
