"""An outbox in PostgreSQL: rows stay until its one consumer has taken them in."""

from collections.abc import Sequence

from persistence.postgres.database import Database
from persistence.postgres.queries import fill_all, load_queries
from persistence.records import OWN_TOPICS, NewEvent, OutboxRow, OutboxService

TOPICS: dict[OutboxService, str] = {"carts": "cart-events", "catalog": "catalog-events", "users": "user-events"}


class PostgresOutbox:
    """Rows stay until the consumer whose epoch is the newest is done with them."""

    def __init__(self, service: OutboxService, database: Database) -> None:
        self._database = database
        self._topic = TOPICS[service]
        self._sql = fill_all(load_queries("outbox"), schema=service)

    async def take(self) -> int:
        """Become its consumer."""
        epoch: int = (await self._database.write(self._sql["take"]))[0]["epoch"]
        return epoch

    async def read(self, limit: int) -> list[OutboxRow]:
        """The oldest rows."""
        rows = []
        for record in await self._database.read(self._sql["read"], limit):
            fields = dict(record)
            row_id: int = fields.pop("id")
            event = NewEvent(**fields)
            rows.append(OutboxRow(id=row_id, topic=OWN_TOPICS.get(event.entity_type, self._topic), event=event))
        return rows

    async def done(self, epoch: int, ids: Sequence[int]) -> bool:
        """Remove rows, if the epoch is ours."""
        return bool(await self._database.write(self._sql["done"], epoch, list(ids)))
