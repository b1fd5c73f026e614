"""The carts in PostgreSQL: rows with compare-and-set."""

from collections.abc import Mapping, Sequence

from persistence.postgres.columns import ANSWER_COLUMNS, EVENT_COLUMNS, Columns, columns
from persistence.postgres.database import Database
from persistence.postgres.queries import load_queries
from persistence.records import CartRecord, CartWrite, IdempotencyRow, NewEvent


class PostgresCarts:
    """Schema `carts`. An expired cart reads as absent, and a write that expects an absent one replaces it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_queries("carts")

    async def load(self, ids: Sequence[str]) -> Mapping[str, CartRecord]:
        """The carts that exist and have not expired."""
        records = await self._database.read(self._sql["load"], list(ids))
        return {record["id"]: CartRecord(**record) for record in records}

    async def save(self, writes: Sequence[CartWrite]) -> frozenset[str]:
        """Compare-and-set each; returns the ids written."""
        if len({write.record.id for write in writes}) != len(writes):
            raise ValueError("one call writes each cart at most once")
        records = await self._database.write(self._sql["save"], *_save_arguments(writes))
        return frozenset(record["id"] for record in records)

    async def delete(self, cart_id: str, expected_version: int, events: Sequence[NewEvent] = ()) -> bool:
        """Remove an expired cart at exactly this version."""
        arguments = columns(EVENT_COLUMNS, events)
        return bool(await self._database.write(self._sql["delete"], cart_id, expected_version, *arguments))

    async def expired(self, before_ms: int, limit: int) -> list[CartRecord]:
        """Carts whose expiry is before `before_ms`, oldest first."""
        return [CartRecord(**record) for record in await self._database.read(self._sql["expired"], before_ms, limit)]

    async def answer(self, principal: str, route: str, key: str) -> IdempotencyRow | None:
        """The remembered answer of a keyed request."""
        records = await self._database.read(self._sql["answer"], principal, route, key)
        return IdempotencyRow(**records[0]) if records else None

    async def close(self) -> None:
        """Nothing: `Stores.close` closes the connections that all adapters share."""


def _save_arguments(writes: Sequence[CartWrite]) -> Columns:
    ordered = sorted(writes, key=lambda write: write.record.id)
    return [
        [write.record.id for write in ordered],
        [write.expected_version for write in ordered],
        [write.record.version for write in ordered],
        [write.record.state for write in ordered],
        [write.record.expires_at_ms for write in ordered],
        [write.record.id for write in ordered for _ in write.events],
        *columns(EVENT_COLUMNS, [event for write in ordered for event in write.events]),
        [write.record.id for write in ordered for _ in write.idempotency],
        *columns(ANSWER_COLUMNS, [row for write in ordered for row in write.idempotency]),
    ]
