"""The gateway's ledger in PostgreSQL."""

from collections.abc import Mapping, Sequence

from persistence.postgres.columns import columns
from persistence.postgres.database import Database
from persistence.postgres.queries import load_queries
from persistence.records import LedgerRow


class PostgresLedger:
    """Schema `gateway`. What it answered is on the disk: a payment may be recorded after the server came back."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_queries("gateway")

    async def put(self, rows: Sequence[LedgerRow]) -> Mapping[str, LedgerRow]:
        """Insert each unless its key is there; returns what stands under each key afterwards."""
        first = list({row.key: row for row in reversed(rows)}.values())
        records = await self._database.write(self._sql["put"], *columns(LedgerRow.__struct_fields__, first))
        return {record["key"]: LedgerRow(**record) for record in records}

    async def find(self, keys: Sequence[str]) -> Mapping[str, LedgerRow]:
        """What stands under these keys."""
        records = await self._database.read(self._sql["find"], list(keys))
        return {record["key"]: LedgerRow(**record) for record in records}

    async def close(self) -> None:
        """Nothing: `Stores.close` closes the connections that all adapters share."""
