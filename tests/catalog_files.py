"""A catalog in memory that files are imported into, for tests."""

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from persistence.memory.seams import Seams
from persistence.memory.tables import MemoryTables
from persistence.records import CategoryRecord, ProductRecord
from persistence.stores import Stores, open_memory_stores
from serve.catalog.exporting import export_products
from serve.catalog.formats import FORMATS, format_of
from serve.catalog.importing import Import
from serve.catalog.product_files import Fault, Tally
from serve.events import Cause
from tests.http_app import FakeClock

HEADER = "id,name,description,brand,currency,categories,images,attributes,sku,options,price\n"


@dataclass
class Told:
    """A report that keeps what it is told."""

    faults: list[Fault] = field(default_factory=list)
    bytes_total: int = 0
    bytes_read: int = 0

    def begins(self, bytes_total: int) -> None:
        self.bytes_total = bytes_total

    def refused(self, product_id: str, fault: Fault) -> None:
        self.faults.append(fault)

    def read(self, bytes_read: int) -> None:
        self.bytes_read = bytes_read


class FileShop:
    """A catalog in memory, files for it, and the clock that it is changed by."""

    def __init__(self, folder: Path, seams: Seams | None = None) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.seams = seams or Seams()
        self.stores: Stores = open_memory_stores(self.clock.now_ms, tables=MemoryTables(), seams=self.seams)

    async def take(
        self, content: str | bytes, file_format: str = "csv", report: Told | None = None, **options: Any
    ) -> tuple[Tally, list[Fault]]:
        self.clock.advance(1)
        path = self.folder / f"products.{file_format}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        told = report or Told()
        run = Import(stores=self.stores, cause=Cause("import-1"), currency="USD", report=told, **options)
        tally = await run.run(path, format_of(path, None))
        assert told.bytes_total == path.stat().st_size
        return tally, told.faults

    async def export(self, file_format: str = "csv") -> str:
        out = io.StringIO(newline="")
        await export_products(self.stores.catalog, out, FORMATS[file_format], lambda _: None)
        return out.getvalue()

    async def products(self) -> dict[str, ProductRecord]:
        return {row.id: row for row in await self.stores.catalog.products_behind("", 1_000)}

    async def category(self, category_id: str) -> None:
        await self.stores.catalog.save_category(CategoryRecord(id=category_id, name=category_id, version=1), 0)

    async def facts(self) -> list[str]:
        return [row.event.type for row in await self.stores.outboxes["catalog"].read(99)]


def counts(tally: Tally) -> tuple[int, int, int, int]:
    return tally.created, tally.changed, tally.unchanged, tally.refused


def line(product_id: str = "p1", **changes: Any) -> str:
    body = {"id": product_id, "name": product_id, "variants": [{"sku": product_id.upper(), "price": 5}], **changes}
    return json.dumps(body) + "\n"
