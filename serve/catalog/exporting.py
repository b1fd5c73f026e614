"""Writes the whole catalog as a file that an import takes."""

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final, TextIO

from persistence.ports import Catalog
from persistence.records import ProductRecord
from serve.catalog.product_files import ProductFormat

PAGE_PRODUCTS: Final = 500
STDOUT: Final = Path("-")


async def export_products(
    catalog: Catalog, out: TextIO, file_format: ProductFormat, written: Callable[[int], None]
) -> tuple[int, int]:
    """Write every product, by id; how many, and how many variants. `written` is told how many there are so far.

    Products that are there all the while come once each, whole; one that is changed meanwhile comes as it was or as it is.
    """
    products = variants = 0
    out.write(file_format.head())
    async for page in _pages(catalog):
        out.write("".join(file_format.text(product) for product in page))
        products += len(page)
        variants += sum(len(product.variants) for product in page)
        written(products)
    return products, variants


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[TextIO]:
    """A new file that takes the place of `path` once it is whole; on an error what was there stays. `-` is stdout."""
    if path == STDOUT:
        with open(sys.stdout.fileno(), "w", encoding="utf-8", newline="", closefd=False) as out:
            yield out
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8", newline="") as out:
            yield out
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


async def _pages(catalog: Catalog) -> AsyncIterator[list[ProductRecord]]:
    behind = ""
    while page := await catalog.products_behind(behind, PAGE_PRODUCTS):
        yield page
        behind = page[-1].id
