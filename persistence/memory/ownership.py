"""Membership and ownership in memory."""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from persistence.errors import WriteRefused
from persistence.memory.seams import Seams
from persistence.memory.tables import ClusterTables
from persistence.records import HostRow, ShardRow


@dataclass(slots=True)
class MemoryOwnership:
    """The cluster's rows; `clock_ms` stands for the database's clock."""

    tables: ClusterTables
    clock_ms: Callable[[], int]
    seams: Seams = field(default_factory=Seams)

    async def now_ms(self) -> int:
        """The database's clock."""
        return await self.seams.call("cluster.now_ms", self.clock_ms)

    async def prepare(self, shard_count: int) -> None:
        """Make the rows of all shards once."""
        await self.seams.call("cluster.prepare", lambda: self._prepare(shard_count))

    async def join(self, host: HostRow, ttl_ms: int) -> HostRow:
        """Insert or replace this host's row, with a fresh lease."""
        return await self.seams.call("cluster.join", lambda: self._join(host, ttl_ms))

    async def renew(self, host: str, incarnation: str, weight: float, ttl_ms: int) -> int | None:
        """Prolong the lease; None if the row is gone."""
        return await self.seams.call("cluster.renew", lambda: self._renew(host, incarnation, weight, ttl_ms))

    async def leave(self, host: str, incarnation: str) -> None:
        """Delete this host's row."""
        await self.seams.call("cluster.leave", lambda: self.tables.hosts.pop((host, incarnation), None))

    async def bury(self, host: str, incarnation: str, *, exit_reported: bool) -> bool:
        """Delete another's row if its lease has run out, or its exit was reported."""
        return await self.seams.call("cluster.bury", lambda: self._bury(host, incarnation, exit_reported=exit_reported))

    async def hosts(self) -> list[HostRow]:
        """All rows, also expired ones."""
        return await self.seams.call(
            "cluster.hosts", lambda: [self.tables.hosts[key] for key in sorted(self.tables.hosts)]
        )

    async def shards(self) -> list[ShardRow]:
        """All shards with their owners."""
        return await self.seams.call(
            "cluster.shards", lambda: [self.tables.shards[shard] for shard in sorted(self.tables.shards)]
        )

    async def claim(self, shard: int, host: str, incarnation: str, at_least_epoch: int = 0) -> int | None:
        """Take a shard that is free, ours, or whose owner has no row in hosts."""
        return await self.seams.call("cluster.claim", lambda: self._claim(shard, host, incarnation, at_least_epoch))

    async def hand_off(self, shard: int, host: str, incarnation: str, epoch: int, to: str, to_incarnation: str) -> bool:
        """Give a shard that is ours at exactly this epoch to another."""
        return await self.seams.call(
            "cluster.hand_off", lambda: self._hand_off(shard, (host, incarnation, epoch), to, to_incarnation)
        )

    async def close(self) -> None:
        """Nothing to let go of."""

    def _prepare(self, shard_count: int) -> None:
        recorded = len(self.tables.shards)
        if recorded not in (0, shard_count):
            raise WriteRefused(f"this cluster has {recorded} shards, not {shard_count}")
        for shard in range(shard_count):
            self.tables.shards.setdefault(shard, ShardRow(shard=shard, owner=None, incarnation=None, epoch=0))

    def _join(self, host: HostRow, ttl_ms: int) -> HostRow:
        now = self.clock_ms()
        row = msgspec.structs.replace(host, renewed_at_ms=now, expires_at_ms=now + ttl_ms)
        self.tables.hosts[host.host, host.incarnation] = row
        return row

    def _renew(self, host: str, incarnation: str, weight: float, ttl_ms: int) -> int | None:
        row = self.tables.hosts.get((host, incarnation))
        if row is None:
            return None
        now = self.clock_ms()
        self.tables.hosts[host, incarnation] = msgspec.structs.replace(
            row, weight=weight, renewed_at_ms=now, expires_at_ms=now + ttl_ms
        )
        return now + ttl_ms

    def _bury(self, host: str, incarnation: str, *, exit_reported: bool) -> bool:
        row = self.tables.hosts.get((host, incarnation))
        if row is None or not (exit_reported or row.expires_at_ms <= self.clock_ms()):
            return False
        del self.tables.hosts[host, incarnation]
        return True

    def _claim(self, shard: int, host: str, incarnation: str, at_least_epoch: int) -> int | None:
        row = self.tables.shards.get(shard)
        if row is None:
            return None
        free = row.owner is None or row.incarnation is None
        if not free and (row.owner, row.incarnation) != (host, incarnation):
            owner_lives = (row.owner, row.incarnation) in self.tables.hosts
            if owner_lives:
                return None
        epoch = max(row.epoch, at_least_epoch) + 1
        self.tables.shards[shard] = ShardRow(shard=shard, owner=host, incarnation=incarnation, epoch=epoch)
        return epoch

    def _hand_off(self, shard: int, mine: tuple[str, str, int], to: str, to_incarnation: str) -> bool:
        row = self.tables.shards.get(shard)
        if row is None or (row.owner, row.incarnation, row.epoch) != mine:
            return False
        self.tables.shards[shard] = ShardRow(shard=shard, owner=to, incarnation=to_incarnation, epoch=row.epoch)
        return True
