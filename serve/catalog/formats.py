"""The file formats of products, by the ends of file names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from serve.catalog.csv_format import Csv
from serve.catalog.jsonl_format import JsonLines
from serve.catalog.product_files import FileRefused, ProductFormat

FORMATS: Final[Mapping[str, ProductFormat]] = {"csv": Csv(), "jsonl": JsonLines()}


def format_of(path: Path, chosen: str | None) -> ProductFormat:
    """The chosen format; else the one that the file's name ends with. Raises `FileRefused`."""
    name = (chosen or path.suffix.removeprefix(".")).lower()
    found = FORMATS.get(name)
    if found is None:
        raise FileRefused(f"{name or 'it'} is no format of products: name the file .csv or .jsonl, or say --format")
    return found
