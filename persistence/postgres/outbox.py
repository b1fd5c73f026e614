"""An outbox in PostgreSQL: rows are taken for a while, then published, then removed."""

from collections.abc import Sequence

from persistence.postgres.database import Database
from persistence.postgres.queries import fill_all, load_queries
from persistence.records import NewEvent, OutboxRow, OutboxService

TAKE_LEASE_MS = 30_000
TOPICS: dict[OutboxService, str] = {"carts": "cart-events", "catalog": "catalog-events", "users": "user-events"}


class PostgresOutbox:
    """Rows are taken for 30 s; one that is not done by then is handed out again."""

    def __init__(self, service: OutboxService, database: Database) -> None:
        self._database = database
        self._topic = TOPICS[service]
        self._sql = fill_all(load_queries("outbox"), schema=service)

    async def take(self, limit: int) -> list[OutboxRow]:
        """The oldest rows nobody else has taken."""
        records = await self._database.write(self._sql["take"], limit, TAKE_LEASE_MS)
        rows = []
        for record in sorted(records, key=lambda record: record["id"]):
            fields = dict(record)
            row_id: int = fields.pop("id")
            rows.append(OutboxRow(id=row_id, topic=self._topic, event=NewEvent(**fields)))
        return rows

    async def done(self, ids: Sequence[int]) -> None:
        """Remove published rows."""
        await self._database.write(self._sql["done"], list(ids))
