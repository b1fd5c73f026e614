"""The documentation as the tests of this folder read it."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *DOCS.glob("stores/*.md")])


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, without heads and rules."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|---")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@dataclass(frozen=True)
class Endpoint:
    """One row of the endpoint tables of docs/api.md."""

    roles: frozenset[str]
    takes: frozenset[str]
    success: str
    refusals: frozenset[str]


_REQUEST = re.compile(r"`(GET|POST|PUT|DELETE) (/[^ `]*)`")


def endpoints() -> dict[tuple[str, str], Endpoint]:
    """(method, path with `:_` for its parameters) → its row."""
    found = {}
    for cells in rows(page("api.md")):
        match = _REQUEST.fullmatch(cells[0])
        if match is not None:
            _, roles, takes, _, success, refusals = cells
            found[match[1], re.sub(r":\w+", ":_", match[2])] = Endpoint(
                frozenset(roles), frozenset(takes), success, frozenset(refusals.split(", ")) - {""}
            )
    return found


def problem_codes() -> dict[str, int]:
    """code → status, as the table of problem codes has them."""
    table = page("api.md").partition("## Problem codes")[2].partition("\n## ")[0]
    return {cells[0].strip("`"): int(cells[1]) for cells in rows(table) if cells[0].startswith("`")}
