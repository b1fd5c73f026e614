"""Products as CSV: one row a variant; the rows of a product stand together and carry its id.

What belongs to the product stands in its first row; further rows repeat it or leave it empty. Categories and images are
separated by `|`; options and attributes are JSON objects.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import partial
from itertools import groupby
from typing import Final, NamedTuple

import msgspec

from actors.domain.money import decimal_of
from persistence.records import ProductRecord
from serve.catalog.bulk import Location, faults_of
from serve.catalog.product_files import LINE_BYTES_MAX, Fault, FileProduct, FileRefused, TextLines
from serve.errors import Problem
from serve.schemas.catalog import VARIANTS_MAX
from serve.schemas.money import minor_of_text
from serve.strict_json import parse_strict

PRODUCT_COLUMNS: Final = ("id", "name", "description", "brand", "currency", "categories", "images", "attributes")
VARIANT_COLUMNS: Final = ("sku", "options", "price")
COLUMNS: Final = PRODUCT_COLUMNS + VARIANT_COLUMNS
REQUIRED: Final = ("id", "name", "sku", "price")
SEPARATOR: Final = "|"


class _Row(NamedTuple):
    line: int
    cells: Mapping[str, str]
    fault: Fault | None


class Csv:
    """Comma, double quotes, a header; blank lines are passed over."""

    def named(self, lines: TextLines) -> Iterator[tuple[int, str]]:
        """Line and id of each product."""
        for product_id, rows in _groups(lines):
            yield rows[0].line, product_id

    def products(self, lines: TextLines) -> Iterator[FileProduct]:
        """Each product of the file."""
        for product_id, rows in _groups(lines):
            yield _product(product_id, rows)

    def head(self) -> str:
        """The header."""
        return _line(COLUMNS)

    def text(self, product: ProductRecord) -> str:
        """A row for each variant; the first carries what belongs to the product."""
        own = [
            product.name,
            product.description,
            product.brand,
            product.currency,
            SEPARATOR.join(product.categories),
            SEPARATOR.join(product.images),
            _object_cell(product.attributes),
        ]
        rows = []
        for variant in product.variants:
            price = f"{decimal_of(variant.price_minor):f}"
            rows.append(_line([product.id, *own, variant.sku, _object_cell(variant.options), price]))
            own = [""] * len(own)
        return "".join(rows)


def _object_cell(members: Mapping[str, object]) -> str:
    return msgspec.json.encode(members).decode() if members else ""


def _line(cells: list[str] | tuple[str, ...]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()


def _groups(lines: TextLines) -> Iterator[tuple[str, list[_Row]]]:
    """The rows of each product; of one with too many rows only as many as show it."""
    # A row without an id stands alone, whatever stands beside it.
    for key, rows in groupby(_rows(lines), key=lambda row: row.cells.get("id") or row.line):
        kept = [row for index, row in enumerate(rows) if index <= VARIANTS_MAX]
        yield key if isinstance(key, str) else "", kept


def _rows(lines: TextLines) -> Iterator[_Row]:
    records = _records(lines)
    _, header = next(records, (1, []))
    columns = _columns(header)
    for line, cells in records:
        fault = None
        if len(cells) != len(columns):
            fault = Fault(line, "", f"has {len(cells)} cells, the header has {len(columns)}")
        yield _Row(line, dict(zip(columns, cells, strict=False)), fault)


def _records(lines: TextLines) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(LINE_BYTES_MAX)
    reader = csv.reader(lines, strict=True)
    while True:
        begins = lines.line + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise FileRefused(f"the record that begins in line {begins} is not CSV: {error}") from None
        if cells:
            yield begins, cells


def _columns(header: list[str]) -> list[str]:
    columns = [name.strip().lower() for name in header]
    unknown = [name for name in columns if name not in COLUMNS]
    missing = [name for name in REQUIRED if name not in columns]
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if not (unknown or missing or repeated):
        return columns
    told = [
        f"{what} {', '.join(map(repr, names))}"
        for what, names in (("unknown", unknown), ("missing", missing), ("repeated", repeated))
        if names
    ]
    hint = "; cells are separated by commas" if len(columns) == 1 else ""
    raise FileRefused(f"the header is wrong: columns {'; '.join(told)}; known are {', '.join(COLUMNS)}{hint}")


def _product(product_id: str, rows: list[_Row]) -> FileProduct:
    first = rows[0]
    faults = [row.fault for row in rows if row.fault is not None]
    if not product_id and not faults:
        faults.append(Fault(first.line, "id", "is missing"))
    if not faults:
        faults = [fault for row in rows[1:] for fault in _disagreements(first, row)]
    body: dict[str, object] = {}
    if not faults:
        body = _body(rows, faults)
    return FileProduct(
        line=first.line,
        rows=len(rows),
        id=product_id,
        where=partial(_where, [row.line for row in rows]),
        body=body,
        faults=tuple(faults),
    )


def _disagreements(first: _Row, row: _Row) -> Iterator[Fault]:
    for column in PRODUCT_COLUMNS:
        cell = row.cells.get(column, "")
        if cell and cell != first.cells[column]:
            yield Fault(row.line, column, f"differs from line {first.line}, where the product begins")


def _body(rows: list[_Row], faults: list[Fault]) -> dict[str, object]:
    first = rows[0]
    return {
        "id": first.cells["id"],
        "name": first.cells["name"],
        "description": first.cells.get("description", ""),
        "brand": first.cells.get("brand", ""),
        "currency": first.cells.get("currency") or None,
        "categories": _list_cell(first.cells.get("categories", "")),
        "images": _list_cell(first.cells.get("images", "")),
        "attributes": _read_object(first, "attributes", faults),
        "variants": [
            {
                "sku": row.cells["sku"],
                "options": _read_object(row, "options", faults),
                "price": _read_price(row, faults),
            }
            for row in rows
        ],
    }


def _list_cell(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(SEPARATOR)] if cell.strip() else []


def _read_object(row: _Row, column: str, faults: list[Fault]) -> object:
    cell = row.cells.get(column, "")
    if not cell.strip():
        return {}
    try:
        return parse_strict(cell.encode())
    except Problem as problem:
        # Their place in the cell is told by the reason; the column is the field.
        faults += [Fault(row.line, column, reason) for _, reason in faults_of(problem)]
        return {}


def _read_price(row: _Row, faults: list[Fault]) -> Decimal:
    """The amount as it is written: never a float."""
    cell = row.cells["price"]
    try:
        minor_of_text(cell)
    except ValueError as error:
        faults.append(Fault(row.line, "price", str(error) if cell else "is missing"))
        return Decimal(0)
    return Decimal(cell)


def _where(lines: list[int], location: Location) -> tuple[int, str]:
    match location:
        case ("variants", int(index), str(column), *_):
            return lines[index], column
        case ("variants", *_):
            return lines[0], "sku"
        case (str(column), *_):
            return lines[0], column
        case _:
            return lines[0], ""
