"""What our code must never do, whatever is sent to it."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("actors", "cluster", "persistence", "serve")
FORBIDDEN_MODULES = {"pickle", "cloudpickle", "dill", "marshal", "shelve"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}


def trees() -> Iterator[tuple[Path, ast.AST]]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def offences(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.partition(".")[0] in FORBIDDEN_MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in FORBIDDEN_MODULES:
            yield str(node.module)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            yield f"{node.func.id}()"


def test_nothing_of_ours_unpickles_or_evaluates() -> None:
    """Between processes go bytes of msgpack, into stores JSON (docs/architecture.md)."""
    assert [(str(path), offence) for path, tree in trees() for offence in offences(tree)] == []


def test_the_search_finds_what_it_looks_for() -> None:
    code = "import pickle\nfrom dill import loads\neval('1')\nexec('2')\nimport json\n"
    assert list(offences(ast.parse(code))) == ["pickle", "dill", "eval()", "exec()"]
