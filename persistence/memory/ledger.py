"""The gateway's ledger in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from persistence.memory.constraints import check_ledger
from persistence.memory.seams import Seams
from persistence.records import LedgerRow


@dataclass(slots=True)
class MemoryLedger:
    """Movements by idempotency key; the first under a key stands."""

    rows: dict[str, LedgerRow]
    seams: Seams = field(default_factory=Seams)

    async def put(self, rows: Sequence[LedgerRow]) -> Mapping[str, LedgerRow]:
        """Insert each unless its key is there; returns what stands under each key afterwards."""
        return await self.seams.call("gateway.put", lambda: self._put(rows))

    async def find(self, keys: Sequence[str]) -> Mapping[str, LedgerRow]:
        """What stands under these keys."""
        return await self.seams.call("gateway.find", lambda: {key: self.rows[key] for key in keys if key in self.rows})

    async def close(self) -> None:
        """Nothing to let go of."""

    def _put(self, rows: Sequence[LedgerRow]) -> Mapping[str, LedgerRow]:
        for row in rows:
            check_ledger(row)
        return {row.key: self.rows.setdefault(row.key, row) for row in rows}
