"""Removal of what nobody asks for any more, in memory."""

from dataclasses import dataclass, field

from persistence.memory.seams import Seams
from persistence.memory.tables import AnswerKey, MemoryTables
from persistence.records import AnswerService, IdempotencyRow


@dataclass(slots=True)
class MemoryRetention:
    """Works on the tables of several services. Ended families of tokens stay: nothing says when they ended."""

    tables: MemoryTables
    seams: Seams = field(default_factory=Seams)

    async def forget_answers(self, service: AnswerService, before_ms: int, limit: int) -> int:
        """Remove remembered answers."""

        def forget() -> int:
            answers = self._answers(service)
            old = sorted((row.at_ms, key) for key, row in answers.items() if row.at_ms < before_ms)[:limit]
            for _, key in old:
                del answers[key]
            return len(old)

        return await self.seams.call(f"{service}.forget_answers", forget)

    async def forget_refresh(self, before_ms: int, limit: int) -> int:
        """Remove refresh tokens that have expired."""

        def forget() -> int:
            tokens = self.tables.users.refresh
            old = sorted((row.expires_at_ms, hash_) for hash_, row in tokens.items() if row.expires_at_ms < before_ms)
            for _, hash_ in old[:limit]:
                del tokens[hash_]
            return len(old[:limit])

        return await self.seams.call("users.forget_refresh", forget)

    async def forget_messages(self, before_ms: int, limit: int) -> int:
        """Remove messages to customers that were sent or have failed."""

        def forget() -> int:
            messages = self.tables.users.notifications
            old = sorted(
                (row.created_at_ms, row.id)
                for row in messages.values()
                if row.created_at_ms < before_ms and row.status != "pending"
            )
            for _, message_id in old[:limit]:
                del messages[message_id]
            return len(old[:limit])

        return await self.seams.call("notifications.forget_messages", forget)

    def _answers(self, service: AnswerService) -> dict[AnswerKey, IdempotencyRow]:
        return self.tables.carts.idempotency if service == "carts" else self.tables.journals[service].idempotency
