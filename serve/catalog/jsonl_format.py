"""Products as JSON lines: one product a line, as `POST /api/v1/products` takes it, always with its id."""

from collections.abc import Iterator
from functools import partial
from typing import Final

import msgspec

from persistence.records import ProductRecord
from serve.catalog.bulk import Location, faults_of
from serve.catalog.product_files import Fault, FileProduct, TextLines
from serve.errors import Problem
from serve.schemas.money import money_number
from serve.strict_json import parse_strict


class _Named(msgspec.Struct):
    id: str = ""


_NAMES: Final = msgspec.json.Decoder(_Named)


class JsonLines:
    """Blank lines are passed over."""

    def named(self, lines: TextLines) -> Iterator[tuple[int, str]]:
        """Line and id of each product."""
        for text in lines:
            if text.strip():
                yield lines.line, _id_of(text)

    def products(self, lines: TextLines) -> Iterator[FileProduct]:
        """Each product of the file."""
        for text in lines:
            if text.strip():
                yield _product(text, lines.line)

    def head(self) -> str:
        """Nothing."""
        return ""

    def text(self, product: ProductRecord) -> str:
        """One line."""
        members: dict[str, object] = {
            "id": product.id,
            "name": product.name,
            "description": product.description,
            "brand": product.brand,
            "currency": product.currency,
            "categories": product.categories,
            "attributes": product.attributes,
            "images": product.images,
            "variants": [
                {"sku": variant.sku, "options": variant.options, "price": money_number(variant.price_minor)}
                for variant in product.variants
            ],
        }
        return msgspec.json.encode(members).decode() + "\n"


def _id_of(text: str) -> str:
    try:
        return _NAMES.decode(text).id
    except msgspec.DecodeError:
        return ""  # it will be refused for it


def _product(text: str, line: int) -> FileProduct:
    where = partial(_where, line)
    product_id = _id_of(text)
    try:
        parsed = parse_strict(text.encode())
    except Problem as problem:
        return FileProduct(line=line, rows=1, id=product_id, where=where, faults=_faults(line, problem))
    if not isinstance(parsed, dict):
        fault = Fault(line, "", "is not a JSON object")
    elif parsed.get("id") is None:
        fault = Fault(line, "/id", "is missing: an import names its products")
    else:
        return FileProduct(line=line, rows=1, id=product_id, where=where, body=parsed)
    return FileProduct(line=line, rows=1, id="", where=where, faults=(fault,))


def _where(line: int, location: Location) -> tuple[int, str]:
    return line, "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def _faults(line: int, problem: Problem) -> tuple[Fault, ...]:
    # The parser counts lines within its text, which is one.
    return tuple(
        Fault(*_where(line, location), reason.replace(" at line 1, column ", " at column "))
        for location, reason in faults_of(problem)
    )
