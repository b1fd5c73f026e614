"""From a shard's row to its fenced journals: the two statements that make this host its only writer."""

import asyncio
from collections.abc import Mapping

import structlog

from cluster.observability import ClusterMetrics
from cluster.settings import ClusterSettings
from persistence.errors import OutcomeUnknown, StoreError, StoreUnavailable
from persistence.ports import Journal, Ownership
from persistence.records import Head, JournalService

log = structlog.get_logger(__name__)


class Fence:
    """Claims one shard and fences all its journals with the epoch of the claim; knows how well that goes."""

    def __init__(
        self,
        *,
        store: Ownership,
        journals: Mapping[JournalService, Journal],
        settings: ClusterSettings,
        metrics: ClusterMetrics,
    ) -> None:
        self._store = store
        self._journals = journals
        self._timeout_s = settings.claim_timeout_ms / 1e3
        self._metrics = metrics
        self._failing_max_s = settings.fence_failing_max_ms / 1e3
        self._rest_s = settings.fence_failed_rest_ms / 1e3
        self._failing_since_s: float | None = None  # the first fence that failed, with none succeeding since
        self._unable_until_s: float | None = None

    async def claim(self, shard: int, host: str, incarnation: str, at_least: int) -> int | None:
        """The epoch of our claim (> `at_least`), or None: another living host owns the shard. Raises `StoreError`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                epoch = await self._store.claim(shard, host, incarnation, at_least)
        except TimeoutError as error:
            raise OutcomeUnknown(f"no answer to the claim of shard {shard}") from error
        self._metrics.claims.labels("refused" if epoch is None else "granted").inc()
        return epoch

    async def fence(self, shard: int, epoch: int) -> dict[JournalService, Head] | int:
        """The fenced heads of all journals, or the epoch above which to claim and fence all again.

        The latter if some head is at `epoch` or above already. Raises `StoreError`.
        """
        heads: dict[JournalService, Head] = {}
        try:
            async with asyncio.timeout(self._timeout_s):
                for service, journal in self._journals.items():
                    head = await journal.fence(shard, epoch)
                    if head is None:
                        return max(epoch, await self._epoch_of(journal, shard))
                    heads[service] = head
        except (StoreError, TimeoutError) as error:
            if self._failing_since_s is None:
                self._failing_since_s = asyncio.get_running_loop().time()
            if isinstance(error, TimeoutError):
                raise OutcomeUnknown(f"no answer to the fence of shard {shard}") from error
            raise
        self._failing_since_s = None
        return heads

    async def able(self) -> bool:
        """Whether this host should own shards.

        Not from the moment it could not fence for 5 s (weight 0: let others try) until a fence succeeded, or a
        rest has passed and all journals answer.
        """
        now_s = asyncio.get_running_loop().time()
        if self._unable_until_s is None:
            if self._failing_since_s is not None and now_s - self._failing_since_s >= self._failing_max_s:
                log.error("fencing.unable", failing_s=round(now_s - self._failing_since_s, 1))
                self._unable_until_s = now_s + self._rest_s
        elif self._failing_since_s is None or (now_s >= self._unable_until_s and await self._journals_answer()):
            self._unable_until_s = self._failing_since_s = None
        return self._unable_until_s is None

    async def _journals_answer(self) -> bool:
        try:
            async with asyncio.timeout(self._timeout_s):
                for journal in self._journals.values():
                    await journal.heads()
        except (StoreUnavailable, OutcomeUnknown, TimeoutError):
            return False
        return True

    @staticmethod
    async def _epoch_of(journal: Journal, shard: int) -> int:
        return max((head.epoch for head in await journal.heads() if head.shard == shard), default=0)
