"""Whether the stores behind each service answer, and whether the cluster can serve."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec

from persistence.errors import StoreError
from persistence.stores import Stores
from serve.clock import Clock
from serve.consumer_progress import ConsumerProgress
from serve.fresh_cache import FreshCache

_NOBODY: Final = "-"
"""An id that nothing has: the store must look, and finds nothing."""

_CACHED_MS: Final = 500
"""However often /health is asked, the stores are asked twice a second at most."""

_KEY: Final = ""


class Check(msgspec.Struct, frozen=True):
    """One check's result. `latency_ms` is how long the answer took."""

    healthy: bool
    latency_ms: int
    detail: str = ""


NOTIFIER: Final = "notifier"
"""The consumer that makes notifications of events, by its name in the cursors."""

BRIDGE: Final = "kafka-bridge"
"""The consumer that publishes events, by its name in the cursors."""

_PROGRESS_EVERY_MS: Final = 5_000


class _Stuck(Exception):
    """A service's store answers, and its work stands still."""


Probe = Callable[[], Awaitable[object]]


class HealthChecks:
    """Asks every service and every store, in parallel, each with a short deadline."""

    def __init__(self, stores: Stores, clock: Clock, *, timeout_ms: int) -> None:
        self._stores = stores
        self._clock = clock
        self._timeout_ms = timeout_ms
        self._probes = {**_services_of(stores, clock), **stores.probes}
        self._health: FreshCache[str, Mapping[str, Check]] = FreshCache(
            self._check, max_age_ms=_CACHED_MS, now_ms=clock.now_ms
        )
        self._ready: FreshCache[str, Check] = FreshCache(self._check_ready, max_age_ms=_CACHED_MS, now_ms=clock.now_ms)

    async def services(self) -> Mapping[str, Check]:
        """A check for each service, for the cluster's table, and for each store, by name."""
        return await self._health.get(_KEY) or {}

    async def ready(self) -> Check:
        """Whether every shard has an owner whose lease runs: only then can every entity answer."""
        found = await self._ready.get(_KEY)
        assert found is not None
        return found

    async def _check(self, keys: Sequence[str]) -> Mapping[str, Mapping[str, Check]]:
        checks = await asyncio.gather(*(self._ask(probe) for probe in self._probes.values()))
        found = dict(zip(self._probes, checks, strict=True))
        return dict.fromkeys(keys, found)

    async def _ask(self, probe: Probe) -> Check:
        started_ns = time.monotonic_ns()
        detail = ""
        try:
            async with asyncio.timeout(self._timeout_ms / 1_000):
                await probe()
        except TimeoutError:
            detail = "no answer in time"
        except StoreError:
            detail = "store unavailable"
        except _Stuck as stuck:
            detail = str(stuck)
        return Check(not detail, (time.monotonic_ns() - started_ns) // 1_000_000, detail)

    async def _check_ready(self, keys: Sequence[str]) -> Mapping[str, Check]:
        unowned = -1

        async def count_unowned() -> None:
            nonlocal unowned
            now_ms = self._clock.now_ms()
            hosts, shards = await asyncio.gather(self._stores.ownership.hosts(), self._stores.ownership.shards())
            alive = {(host.host, host.incarnation) for host in hosts if host.expires_at_ms > now_ms}
            unowned = sum((shard.owner, shard.incarnation) not in alive for shard in shards) if shards else -1

        check = await self._ask(count_unowned)
        if check.healthy and unowned != 0:
            detail = "the cluster has no shards yet" if unowned < 0 else f"{unowned} shards have no living owner"
            check = Check(healthy=False, latency_ms=check.latency_ms, detail=detail)
        return dict.fromkeys(keys, check)


def _services_of(stores: Stores, clock: Clock) -> dict[str, Probe]:
    """The services by name, each with the cheapest read of what it lives on; then the cluster's table."""
    return {
        "catalog": lambda: stores.catalog.product(_NOBODY),
        "inventory": lambda: stores.stock.load([_NOBODY]),
        "cart": lambda: stores.carts.load([_NOBODY]),
        "order": lambda: stores.orders.load([_NOBODY]),
        "payment": lambda: stores.payments.load([_NOBODY]),
        "user": lambda: stores.users.password_versions([_NOBODY]),
        "notification": _notification(stores, clock),
        "cluster": stores.ownership.hosts,
    }


def _notification(stores: Stores, clock: Clock) -> Probe:
    """Its own store, and now and then whether the orders' events are read at all."""
    # With a broker it is the bridge that reads the journal, and the notifier gets its events from there.
    reader = NOTIFIER if stores.events is None else BRIDGE
    progress = ConsumerProgress(reader, stores.journals["orders"], stores.cursors["orders"], clock.now_ms)
    waiting = 0
    looked_at_ms = -_PROGRESS_EVERY_MS

    async def ask() -> None:
        nonlocal waiting, looked_at_ms
        now_ms = clock.now_ms()
        if now_ms - looked_at_ms >= _PROGRESS_EVERY_MS:
            waiting = await progress.waiting()
            looked_at_ms = now_ms
        else:
            await stores.notifications.by_id(_NOBODY)
        if waiting:
            raise _Stuck(f"{waiting} events wait, and none was read for a minute")

    return ask
