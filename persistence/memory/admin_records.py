"""What administrators and services did, in memory."""

from dataclasses import dataclass, field

import msgspec

from persistence.cursors import decode_number_cursor, encode_cursor
from persistence.memory.seams import Seams
from persistence.records import AdminRecord


@dataclass(slots=True)
class MemoryAdminRecords:
    """Append-only; ids rise."""

    rows: list[AdminRecord]
    seams: Seams = field(default_factory=Seams)

    async def add(self, record: AdminRecord) -> None:
        """Keep one."""

        def keep() -> None:
            self.rows.append(msgspec.structs.replace(record, id=len(self.rows) + 1))

        await self.seams.call("admin_records.add", keep)

    async def list(self, *, actor: str | None, limit: int, cursor: str | None) -> tuple[list[AdminRecord], str | None]:
        """Newest first, and the next cursor."""
        before = None if cursor is None else decode_number_cursor("admin_records", cursor)[0]

        def find() -> tuple[list[AdminRecord], str | None]:
            found = [
                row
                for row in reversed(self.rows)
                if (actor is None or row.actor == actor) and (before is None or row.id < before)
            ]
            page = found[:limit]
            return page, encode_cursor("admin_records", page[-1].id, "") if len(found) > limit else None

        return await self.seams.call("admin_records.list", find)
