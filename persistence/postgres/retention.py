"""Removal of what nobody asks for any more, in PostgreSQL."""

from collections.abc import Mapping

from persistence.postgres.database import Database
from persistence.postgres.queries import fill, load_queries
from persistence.records import AnswerService


class PostgresRetention:
    """Works on the schemas of several services, each in its own database."""

    def __init__(self, answers: Mapping[AnswerService, Database], users: Database) -> None:
        self._answers = dict(answers)
        self._users = users
        self._sql = load_queries("retention")

    async def forget_answers(self, service: AnswerService, before_ms: int, limit: int) -> int:
        """Remove remembered answers."""
        statement = fill(self._sql["forget_answers"], schema=service)
        return len(await self._answers[service].write(statement, before_ms, limit))

    async def forget_refresh(self, before_ms: int, limit: int) -> int:
        """Remove refresh tokens that have expired, and what is remembered of families that ended."""
        tokens = await self._users.write(self._sql["forget_refresh"], before_ms, limit)
        families = await self._users.write(self._sql["forget_families"], before_ms, limit)
        return max(len(tokens), len(families))

    async def forget_messages(self, before_ms: int, limit: int) -> int:
        """Remove messages to customers that were sent or have failed."""
        return len(await self._users.write(self._sql["forget_messages"], before_ms, limit))
