"""Membership and ownership in PostgreSQL."""

from persistence.errors import WriteRefused
from persistence.postgres.database import Database
from persistence.postgres.queries import load_queries
from persistence.records import HostRow, ShardRow


class PostgresOwnership:
    """The cluster's rows, in schema `cluster`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_queries("cluster")

    async def now_ms(self) -> int:
        """The database's clock."""
        now: int = (await self._database.read(self._sql["now"]))[0]["now_ms"]
        return now

    async def prepare(self, shard_count: int) -> None:
        """Make the rows of all shards once."""
        recorded = (await self._database.write(self._sql["record_shard_count"], shard_count))[0]["shard_count"]
        if recorded != shard_count:
            raise WriteRefused(f"this cluster has {recorded} shards, not {shard_count}")
        await self._database.write(self._sql["make_shards"], shard_count)

    async def join(self, host: HostRow, ttl_ms: int) -> HostRow:
        """Insert or replace this host's row, with a fresh lease."""
        records = await self._database.write(
            self._sql["join"], host.host, host.incarnation, host.node, host.actor_name, host.weight, ttl_ms
        )
        return HostRow(**records[0])

    async def renew(self, host: str, incarnation: str, weight: float, ttl_ms: int) -> int | None:
        """Prolong the lease; None if the row is gone."""
        records = await self._database.write(self._sql["renew"], host, incarnation, weight, ttl_ms)
        return records[0]["expires_at_ms"] if records else None

    async def leave(self, host: str, incarnation: str) -> None:
        """Delete this host's row."""
        await self._database.write(self._sql["leave"], host, incarnation)

    async def bury(self, host: str, incarnation: str, *, exit_reported: bool) -> bool:
        """Delete another's row if its lease has run out, or its exit was reported."""
        return bool(await self._database.write(self._sql["bury"], host, incarnation, exit_reported))

    async def hosts(self) -> list[HostRow]:
        """All rows, also expired ones."""
        return [HostRow(**record) for record in await self._database.read(self._sql["hosts"])]

    async def shards(self) -> list[ShardRow]:
        """All shards with their owners."""
        return [ShardRow(**record) for record in await self._database.read(self._sql["shards"])]

    async def claim(self, shard: int, host: str, incarnation: str, at_least_epoch: int = 0) -> int | None:
        """Take a shard that is free, ours, or whose owner has no row in hosts."""
        records = await self._database.write(self._sql["claim"], shard, host, incarnation, at_least_epoch)
        return records[0]["epoch"] if records else None

    async def hand_off(self, shard: int, host: str, incarnation: str, epoch: int, to: str, to_incarnation: str) -> bool:
        """Give a shard that is ours at exactly this epoch to another."""
        statement = self._sql["hand_off"]
        return bool(await self._database.write(statement, shard, host, incarnation, epoch, to, to_incarnation))

    async def close(self) -> None:
        """Nothing: `Stores.close` closes the connections that all adapters share."""
