"""docs/security.md names a test for each promise; the test must be there."""

import ast
import re

import pytest

from tests.unit.docs.pages import ROOT, page, rows

NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page("security.md"))


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_every_test_that_is_named_is_there(file: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    there = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert {name for of, name in NAMED if of == file} - there == set()


def test_every_promise_names_one() -> None:
    promises = [cells for cells in rows(page("security.md")) if cells[0] != "promise"]
    assert len(promises) > 40
    assert [cells[0] for cells in promises if "tests/" not in cells[1] and "./stampede test" not in cells[1]] == []
