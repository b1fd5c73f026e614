"""What administrators and services did, in PostgreSQL."""

from msgspec.structs import asdict

from persistence.cursors import decode_number_cursor, encode_cursor
from persistence.postgres.database import Database
from persistence.postgres.queries import load_queries
from persistence.records import AdminRecord

_FROM_THE_NEWEST = 2**63 - 1


class PostgresAdminRecords:
    """Table `users.admin_records`: rows are added, never changed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_queries("admin_records")

    async def add(self, record: AdminRecord) -> None:
        """Keep one."""
        columns = asdict(record)
        del columns["id"]
        await self._database.write(self._sql["add"], *columns.values())

    async def list(self, *, actor: str | None, limit: int, cursor: str | None) -> tuple[list[AdminRecord], str | None]:
        """Newest first, and the next cursor."""
        before = _FROM_THE_NEWEST if cursor is None else decode_number_cursor("admin_records", cursor)[0]
        # One row more than asked tells whether another page follows.
        records = await self._database.read(self._sql["list"], actor, before, limit + 1)
        page = [AdminRecord(**record) for record in records[:limit]]
        return page, encode_cursor("admin_records", page[-1].id, "") if len(records) > limit else None
