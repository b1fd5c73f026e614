"""Files of products with faults in them: which line, which field, why; and what is taken all the same."""

from pathlib import Path

import pytest

from serve.catalog.product_files import LINE_BYTES_MAX, FileRefused
from tests.catalog_files import HEADER, FileShop, counts, line


@pytest.fixture
def shop(tmp_path: Path) -> FileShop:
    return FileShop(tmp_path)


BAD_ROWS = {
    "no id": (",Name,,,,,,,S-1,,1", [(2, "id", "is missing")]),
    "an id that is no id": ("../etc,Name,,,,,,,S-1,,1", [(2, "id", "pattern")]),
    "no name": ("p,,,,,,,,S-1,,1", [(2, "name", "at least 1 character")]),
    "no sku": ("p,Name,,,,,,,,,1", [(2, "sku", "pattern")]),
    "no price": ("p,Name,,,,,,,S-1,,", [(2, "price", "is missing")]),
    "a price in words": ("p,Name,,,,,,,S-1,,cheap", [(2, "price", "1299.99")]),
    "a price with a comma": ('p,Name,,,,,,,S-1,,"1,5"', [(2, "price", "1299.99")]),
    "a price with three decimals": ("p,Name,,,,,,,S-1,,1.999", [(2, "price", "1299.99")]),
    "a negative price": ("p,Name,,,,,,,S-1,,-1", [(2, "price", "1299.99")]),
    "a price in exponents": ("p,Name,,,,,,,S-1,,1e3", [(2, "price", "1299.99")]),
    "too much": ("p,Name,,,,,,,S-1,,999999999999", [(2, "price", "lies between")]),
    "another currency": ("p,Name,,,EUR,,,,S-1,,1", [(2, "currency", "sells in USD")]),
    "no currency at all": ("p,Name,,,dollars,,,,S-1,,1", [(2, "currency", "pattern")]),
    "an unknown category": ("p,Name,,,,nowhere,,,S-1,,1", [(2, "categories", "no such category")]),
    "a script as image": ("p,Name,,,,,javascript:alert(1),,S-1,,1", [(2, "images", "pattern")]),
    "attributes that are no JSON": ("p,Name,,,,,,weight=5,S-1,,1", [(2, "attributes", "Not valid JSON")]),
    "attributes that are a list": ("p,Name,,,,,,[1],S-1,,1", [(2, "attributes", "dictionary")]),
    "an operator in attributes": ('p,Name,,,,,,"{""$ne"": 1}",S-1,,1', [(2, "attributes", "pattern")]),
    "an operator deep in attributes": ('p,Name,,,,,,"{""a"": {""$ne"": 1}}",S-1,,1', [(2, "attributes", "name")]),
    "options that are numbers": ('p,Name,,,,,,,S-1,"{""size"": 5}",1', [(2, "options", "valid string")]),
    "a sku twice": ("p,Name,,,,,,,S-1,,1\np,,,,,,,,S-1,,2", [(2, "sku", "sku of its own")]),
    "a bad row after a good one": ("p,Name,,,,,,,S-1,,1\np,,,,,,,,S 2,,2", [(3, "sku", "pattern")]),
    "a row that disagrees": ("p,Name,,,,,,,S-1,,1\np,Other,,,,,,,S-2,,2", [(3, "name", "differs from line 2")]),
    "too few cells": ("p,Name", [(2, "", "has 2 cells")]),
    "too many cells": ("p,Name,,,,,,,S-1,,1,2", [(2, "", "has 12 cells")]),
    "two faults": ("p,,,,,,,,S-1,,1\np,,,,,,,,S-2,,x\np,,,,,,,,S-3,,y", [(3, "price", ""), (4, "price", "")]),
    "NUL": ("p,Na\0me,,,,,,,S-1,,1", [(2, "name", "pattern")]),
    "101 variants": (
        "\n".join(["p,Name,,,,,,,S-0,,1", *(f"p,,,,,,,,S-{n},,1" for n in range(1, 150))]),
        [(2, "sku", "at most 100 items")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ROWS)
async def test_a_bad_row_refuses_its_product_whole_and_no_other(shop: FileShop, name: str) -> None:
    rows, expected = BAD_ROWS[name]
    tally, faults = await shop.take(f"{HEADER}{rows}\ngood,Good,,,,,,,GOOD,,1\n")
    assert counts(tally) == (1, 0, 0, 1)
    assert [(fault.line, fault.field) for fault in faults] == [(line, column) for line, column, _ in expected]
    for fault, (_, _, reason) in zip(faults, expected, strict=True):
        assert reason in fault.reason
    assert set(await shop.products()) == {"good"}
    assert set(await shop.stores.catalog.prices(["S-0", "S-1", "S-2", "GOOD"])) == {"GOOD"}


BAD_LINES = {
    "no JSON": ("hello", "", "Not valid JSON at column 1"),
    "a list": ("[]", "", "not a JSON object"),
    "no id": ('{"name": "x"}', "/id", "is missing"),
    "a repeated name": ('{"id": "p", "id": "q"}', "", "repeated"),
    "NaN": (line().replace("5", "NaN"), "", "not JSON"),
    "a version": (line(version=3), "/version", "not permitted"),
    "a number as name": (line(name=5), "/name", "valid string"),
    "a price as text": (line(variants=[{"sku": "A", "price": "5"}]), "/variants/0/price", "is a number"),
    "a lone surrogate": (line(name="\ud800"), "/name", "cannot be stored"),
    "an id with an escape": ('{"id": "a\\u001b[31m", "name": "x", "variants": []}', "/id", "pattern"),
}


@pytest.mark.parametrize("name", BAD_LINES)
async def test_a_bad_line_is_refused_with_its_pointer(shop: FileShop, name: str) -> None:
    text, pointer, reason = BAD_LINES[name]
    tally, faults = await shop.take(f"\n{text.strip()}\n{line('good')}", "jsonl")
    assert counts(tally) == (1, 0, 0, 1)
    assert (faults[0].line, faults[0].field) == (2, pointer)
    assert reason in faults[0].reason


BAD_FILES = {
    "an unknown column": (HEADER.replace("price", "cost"), "columns unknown 'cost'; missing 'price'"),
    "a missing column": (HEADER.replace("sku,", ""), "missing 'sku'"),
    "a repeated column": (HEADER.replace("brand", "name"), "repeated 'name'"),
    "semicolons": (HEADER.replace(",", ";"), "separated by commas"),
    "nothing": ("", "missing 'id'"),
    "an open quote": (HEADER + 'p,"Name,,,,,,,S,,1\n' + "q,Name,,,,,,,Q,,1\n", "begins in line 2 is not CSV"),
    "text behind a quote": (HEADER + 'p,"Name"x,,,,,,,S,,1\n', "begins in line 2 is not CSV"),
    "latin-1": ((HEADER + "ok,Ok,,,,,,,OK,,1\np,Café,,,,,,,S,,1\n").encode("latin-1"), "0xE9 at offset 105, in line 3"),
    "UTF-16": (HEADER.encode("utf-16"), "UTF-16"),
    "an endless line": (HEADER + "x" * (LINE_BYTES_MAX + 1), "line 2 is longer"),
}


@pytest.mark.parametrize("name", BAD_FILES)
async def test_of_a_file_that_cannot_be_read_nothing_is_taken(shop: FileShop, name: str) -> None:
    content, reason = BAD_FILES[name]
    if isinstance(content, str) and name == "an open quote":
        content = content.replace(HEADER, HEADER + "ok,Ok,,,,,,,OK,,1\n")
        reason = "begins in line 3"
    with pytest.raises(FileRefused) as refused:
        await shop.take(content)
    assert reason in str(refused.value)
    assert await shop.products() == {}
