"""Loads the named statements of `sql/*.sql`: each begins at a line `-- name: …` and ends before the next."""

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def load_queries(file: str) -> dict[str, str]:
    """The statements of `sql/<file>.sql` by name, with their comments."""
    text = files(__package__).joinpath("sql", f"{file}.sql").read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    names, bodies = parts[::2], parts[1::2]
    if len(set(names)) != len(names):
        raise ValueError(f"{file}.sql names a statement twice")
    return {name: body.strip() for name, body in zip(names, bodies, strict=True)}


def fill(statement: str, **parts: str) -> str:
    """Put identifiers and fragments of our own in place of `{part}`. Never for values: those are parameters."""
    for name, part in parts.items():
        statement = statement.replace("{" + name + "}", part)
    return statement


def fill_all(statements: dict[str, str], **parts: str) -> dict[str, str]:
    """`fill` for every statement of a file."""
    return {name: fill(statement, **parts) for name, statement in statements.items()}
