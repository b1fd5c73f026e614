"""The ownership table as a region sees it: cached, refreshed by one reader at a time."""

import asyncio

import structlog

from cluster.allocation import age
from cluster.observability import ClusterMetrics
from cluster.settings import ClusterSettings
from persistence.errors import StoreError, StoreUnavailable
from persistence.ports import Ownership
from persistence.records import HostRow

log = structlog.get_logger(__name__)


class RouteTable:
    """Which host serves a shard, as far as we know. Wrong routes are harmless: the host answers *not-mine*.

    However many ask, the store is read by one reader at a time, and not more often than each 50 ms.
    """

    def __init__(self, *, store: Ownership, settings: ClusterSettings, metrics: ClusterMetrics) -> None:
        self._store = store
        self._spacing_s = settings.route_refresh_spacing_ms / 1e3
        self._timeout_s = settings.route_timeout_ms / 1e3
        self._metrics = metrics
        self._routes: list[HostRow | None] = [None] * settings.shard_count
        self._hosts: dict[str, HostRow] = {}  # by name; the newest incarnation of each
        self._reading: asyncio.Task[None] | None = None
        self._read_at_s = float("-inf")

    def host_of(self, shard: int) -> HostRow | None:
        """The host that serves the shard, or None: nobody that we know of."""
        return self._routes[shard]

    @property
    def hosts(self) -> list[HostRow]:
        """The hosts of the last read."""
        return list(self._hosts.values())

    def drop(self, shard: int, host: HostRow) -> None:
        """Forget that `host` serves the shard, unless the route has changed since."""
        if self._routes[shard] is host:
            self._routes[shard] = None

    def hint(self, shard: int, owner: str | None) -> bool:
        """A host said who owns the shard. False if we do not know that owner: the table must be read."""
        row = self._hosts.get(owner) if owner is not None else None
        if row is None:
            return False
        self._routes[shard] = row
        return True

    async def refresh(self) -> None:
        """Read the table; joins a read that others wait for. Raises `StoreError`."""
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._read_spaced(), name="routes.read")
            self._reading.add_done_callback(self._read)
        reading = self._reading
        await asyncio.wait([reading])
        if reading.cancelled():  # by `close`: those who wait here are not cancelled by that
            raise StoreUnavailable("the region has stopped")
        reading.result()

    async def close(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    async def _read_spaced(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._read_at_s + self._spacing_s - loop.time()))
        self._read_at_s = loop.time()
        try:
            async with asyncio.timeout(self._timeout_s):
                shards = await self._store.shards()
                hosts = await self._store.hosts()
        except TimeoutError as error:
            raise StoreUnavailable("the ownership table was not read in time") from error
        lives = {(row.host, row.incarnation): row for row in hosts}
        self._hosts = {row.host: row for row in sorted(hosts, key=age)}
        for row in shards:
            self._routes[row.shard] = lives.get((row.owner or "", row.incarnation or ""))

    def _read(self, reading: "asyncio.Task[None]") -> None:
        self._reading = None
        failed = reading.cancelled() or reading.exception() is not None
        self._metrics.route_refreshes.labels("failed" if failed else "ok").inc()
        if not reading.cancelled() and isinstance(error := reading.exception(), StoreError):
            log.warning("routes.unread", error=repr(error))
