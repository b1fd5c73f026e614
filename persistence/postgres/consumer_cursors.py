"""The cursors of a journal's consumers, in PostgreSQL."""

from collections.abc import Mapping

from persistence.postgres.database import Database
from persistence.postgres.queries import fill_all, load_queries
from persistence.records import JournalService


class PostgresCursors:
    """One service's cursors, beside its journal."""

    def __init__(self, service: JournalService, database: Database) -> None:
        self._service: JournalService = service
        self._database = database
        self._sql = fill_all(load_queries("cursors"), schema=service)

    @property
    def service(self) -> JournalService:
        """Which service's journal this is about."""
        return self._service

    async def take(self, consumer: str) -> tuple[int, Mapping[int, int]]:
        """Become this consumer."""
        # Two statements: the second sees all that the one before us wrote, for it can write no more. Within one they
        # would share a snapshot, in which its last advance may be missing.
        epoch: int = (await self._database.write(self._sql["take"], consumer))[0]["epoch"]
        return epoch, await self.positions(consumer)

    async def advance(self, consumer: str, epoch: int, seqs: Mapping[int, int]) -> bool:
        """Move shards' cursors forward, if the epoch is ours."""
        # In order of shards, so that two statements never wait for each other's rows in a cycle.
        ordered = dict(sorted(seqs.items()))
        statement = self._sql["advance"]
        return bool(await self._database.write(statement, consumer, epoch, list(ordered), list(ordered.values())))

    async def positions(self, consumer: str) -> Mapping[int, int]:
        """The seq that each shard was read up to."""
        records = await self._database.read(self._sql["positions"], consumer)
        return {record["shard"]: record["seq"] for record in records}
