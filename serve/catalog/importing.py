"""Takes a file of products into the catalog: each product whole or not at all, a line for each fault."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from pydantic import ValidationError

from persistence.errors import AlreadyExists, StoreUnavailable
from persistence.records import CategoryRecord
from persistence.stores import Stores
from serve.catalog.bulk import Accepted, BulkWriter, Outcome, Refused
from serve.catalog.product_files import Fault, FileProduct, FileRefused, ProductFormat, Tally, TextLines
from serve.events import Cause
from serve.schemas.catalog import ProductIn

BATCH_PRODUCTS_MAX: Final = 250
BATCH_VARIANTS_MAX: Final = 1_000
RETRY_PAUSES_S: Final = (0.1, 0.5, 2.0, 5.0, 10.0)
"""Longer together than a database takes to start again."""


class ImportReport(Protocol):
    """Told how an import goes."""

    def begins(self, bytes_total: int) -> None:
        """The file was looked through, and is fit to be taken."""

    def refused(self, product_id: str, fault: Fault) -> None:
        """A product has this fault; nothing of it was written."""

    def read(self, bytes_read: int) -> None:
        """So much of the file is done."""


@dataclass(slots=True, kw_only=True)
class Import:
    """One run of an import. After an error or an interrupt `tally` tells what is in for certain; it can be run again.

    Memory does not grow with the file but for the ids of its products, of which each must stand in one place.
    """

    stores: Stores
    cause: Cause
    currency: str
    report: ImportReport
    create_categories: bool = False
    trial: bool = False
    tally: Tally = field(default_factory=Tally)

    async def run(self, path: Path, file_format: ProductFormat) -> Tally:
        """Import the file. Raises `FileRefused` before anything is written, `StoreError`, `OSError`."""
        with path.open("rb") as file:
            await self._check_currency()
            scattered = _scattered(file_format, file)
            self.report.begins(file.tell())
            file.seek(0)
            writer = BulkWriter(
                catalog=self.stores.catalog,
                cause=self.cause,
                currency=self.currency,
                known_categories=await self.stores.catalog.category_ids(),
                trial=self.trial,
            )
            lines = TextLines(file)
            for batch in _batches(self._acceptable(file_format.products(lines), scattered)):
                await self._put(writer, batch)
                self.report.read(lines.bytes_read)
        return self.tally

    async def _check_currency(self) -> None:
        """A shop has one currency, and this process may not have been told it."""
        for product in await self.stores.catalog.products_behind("", 1):
            if product.currency != self.currency:
                raise FileRefused(
                    f"the catalog's prices are in {product.currency}, the settings say {self.currency}:"
                    " set STAMPEDE_CATALOG_CURRENCY as for the platform"
                )

    def _acceptable(
        self, products: Iterator[FileProduct], scattered: dict[str, int]
    ) -> Iterator[tuple[FileProduct, ProductIn]]:
        """The products whose fields are as they must be; the others are told."""
        for product in products:
            faults = list(product.faults)
            if product.id in scattered:
                first = scattered[product.id]
                faults.insert(0, Fault(product.line, "id", f"stands in the file more than once, first in line {first}"))
            if not faults:
                try:
                    body = ProductIn.model_validate(product.body)
                except ValidationError as error:
                    faults = _field_faults(product, error)
                else:
                    yield product, body
                    continue
            self._refuse(product, faults)

    async def _put(self, writer: BulkWriter, batch: Sequence[tuple[FileProduct, ProductIn]]) -> None:
        if self.create_categories:
            await self._make_categories(writer, [body for _, body in batch])
        outcomes = await self._written(writer, [body for _, body in batch])
        for product, body in batch:
            assert body.id is not None
            self._count(product, outcomes[body.id])

    async def _written(self, writer: BulkWriter, bodies: Sequence[ProductIn]) -> Mapping[str, Outcome]:
        """Once more after a pause if surely nothing was written: a row was locked, or the database starts anew."""
        for pause_s in RETRY_PAUSES_S:
            try:
                return await writer.put(bodies, await self.stores.ownership.now_ms())
            except StoreUnavailable:
                await asyncio.sleep(pause_s)
        return await writer.put(bodies, await self.stores.ownership.now_ms())

    def _count(self, product: FileProduct, outcome: Outcome) -> None:
        match outcome:
            case Accepted(change="created"):
                self.tally.created += 1
            case Accepted(change="changed"):
                self.tally.changed += 1
            case Accepted():
                self.tally.unchanged += 1
            case Refused(faults=faults):
                self._refuse(product, [Fault(*product.where(location), reason) for location, reason in faults])

    def _refuse(self, product: FileProduct, faults: Sequence[Fault]) -> None:
        self.tally.refused += 1
        self.tally.refused_rows += product.rows
        for fault in faults:
            self.report.refused(product.id, fault)

    async def _make_categories(self, writer: BulkWriter, bodies: Sequence[ProductIn]) -> None:
        """Make those that are missing, named after their ids: `home-audio` becomes Home Audio."""
        wanted = {category_id for body in bodies for category_id in body.categories}
        for category_id in sorted(wanted - writer.known_categories):
            name = category_id.replace("-", " ").title()
            if not self.trial:
                try:
                    await self.stores.catalog.save_category(CategoryRecord(id=category_id, name=name, version=1), 0)
                except AlreadyExists:
                    continue  # somebody else was faster
                finally:
                    writer.known_categories |= {category_id}
            else:
                writer.known_categories |= {category_id}
            self.tally.categories.append(category_id)


def _scattered(file_format: ProductFormat, file: BinaryIO) -> dict[str, int]:
    """Ids that stand in several places of the file, with the line of the first. Reads all of it."""
    first_lines: dict[str, int] = {}
    scattered: dict[str, int] = {}
    for line, product_id in file_format.named(TextLines(file)):
        if product_id and first_lines.setdefault(product_id, line) != line:
            scattered[product_id] = first_lines[product_id]
    return scattered


def _batches(
    products: Iterator[tuple[FileProduct, ProductIn]],
) -> Iterator[list[tuple[FileProduct, ProductIn]]]:
    batch: list[tuple[FileProduct, ProductIn]] = []
    variants = 0
    for product, body in products:
        batch.append((product, body))
        variants += len(body.variants)
        if len(batch) >= BATCH_PRODUCTS_MAX or variants >= BATCH_VARIANTS_MAX:
            yield batch
            batch, variants = [], 0
    if batch:
        yield batch


def _field_faults(product: FileProduct, error: ValidationError) -> list[Fault]:
    return [
        Fault(*product.where(found["loc"]), found["msg"].removeprefix("Value error, "))
        for found in error.errors(include_url=False, include_context=False, include_input=False)
    ]
