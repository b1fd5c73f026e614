"""`import products` and `export products` as processes against a real database: what they print, their exit codes."""

import asyncio
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import asyncpg
import pytest
from rich.console import Console
from typer.testing import CliRunner

from serve import cli
from serve.platform.errors import UserError
from tests.servers.postgres import empty_tables, postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]

pytestmark = pytest.mark.postgres

ROOT = Path(__file__).parents[2]
HEADER = "id,name,categories,attributes,sku,options,price\n"
GOOD = (
    HEADER
    + 'shirt,Shirt,,"{""care"": ""30 °C""}",SHIRT-S,"{""size"": ""S""}",19.99\nshirt,,,,SHIRT-M,"{""size"": ""M""}",20\n'
)


class Shell:
    """Runs commands of the command line on one database: in this process, or as one that can be interrupted."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        self.url = url
        self.environment = {"DATABASE_URL": url, "STAMPEDE_DATA_DIR": str(folder), "COLUMNS": "200"}

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "serve.cli", *arguments], env={"PATH": os.environ["PATH"]} | self.environment,
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        """Exit code, stdout, and stderr with the line that `main` prints of an error."""
        with patch.object(cli, "out", Console(width=200, file=(shown := io.StringIO()))):
            done = CliRunner().invoke(cli.app, [*arguments], env=self.environment | environment)
        if isinstance(done.exception, UserError):
            return done.exception.exit_code, shown.getvalue(), f"{done.stderr}stampede: {done.exception}\n"
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        return done.exit_code, shown.getvalue() + done.stdout, done.stderr

    def take(
        self, content: str | bytes, *options: str, name: str = "in.csv", **environment: str
    ) -> tuple[int, str, str]:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self.run("import", "products", str(path), *options, **environment)

    def ask(self, query: str) -> list[Any]:
        async def asked() -> list[Any]:
            connection = await asyncpg.connect(self.url)
            try:
                return [tuple(row) for row in await connection.fetch(query)]
            finally:
                await connection.close()

        return asyncio.run(asked())


@pytest.fixture
def shell(postgres_url: str, tmp_path: Path) -> Iterator[Shell]:
    asyncio.run(empty_tables(postgres_url))
    yield Shell(postgres_url, tmp_path)
    asyncio.run(empty_tables(postgres_url))


def test_import_tells_what_became_of_each_product_and_its_exit_code_too(shell: Shell) -> None:
    assert shell.take(GOOD) == (0, "1 created, 0 changed, 0 unchanged, 0 refused\n", "")
    content = GOOD.replace("19.99", "18.00") + "mug,Mug,,,MUG,,4.35\nbad,Bad,,,BAD,,cheap\nlost,Lost,nowhere,,LOST,,1\n"
    code, out, err = shell.take(content)
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        "line 5: price: must be an amount such as 1299.99 (bad)",
        "line 6: categories: There is no such category. (lost)",
        "1 created, 1 changed, 0 unchanged, 2 refused (2 rows)",
    ]
    code, out, _ = shell.take(content, "--create-categories")
    assert (code, out.splitlines()[-1]) == (
        1, "1 created, 0 changed, 2 unchanged, 1 refused (1 rows); new categories: nowhere"
    )  # fmt: skip
    records = shell.ask("SELECT route, path, status, method, role FROM users.admin_records ORDER BY id")
    assert records == [("import products", "in.csv", status, "CLI", "operator") for status in (200, 207, 207)]


def test_a_dry_run_writes_nothing(shell: Shell) -> None:
    code, out, err = shell.take(GOOD, "--dry-run")
    assert (code, out, err) == (0, "1 created, 0 changed, 0 unchanged, 0 refused; nothing was written (dry run)\n", "")
    for table in ("catalog.products", "catalog.outbox", "users.admin_records"):
        assert shell.ask(f"SELECT count(*) FROM {table}") == [(0,)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (GOOD.replace("price", "cost"), "columns unknown 'cost'; missing 'price'"),
        (GOOD.encode("latin-1"), "not UTF-8: byte 0xB0 at offset 78, in line 2"),
        (GOOD.encode("utf-16"), "the file is UTF-16: save it as UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_and_nothing_is_done(
    shell: Shell, content: str | bytes, reason: str
) -> None:
    code, out, err = shell.take(content)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert reason in err
    assert shell.ask("SELECT count(*) FROM catalog.products") == [(0,)]


def test_what_cannot_be_done_is_one_line(shell: Shell, tmp_path: Path) -> None:
    for arguments, reason in {
        ("import", "products", str(tmp_path / "none.csv")): "there is no file",
        ("import", "products", str(tmp_path)): "--format",
        ("import", "products", "x.xlsx"): "--format",
        ("export", "products", "x.pdf"): "--format",
        ("export", "products", str(tmp_path / "no" / "where.csv")): "could not be exported",
    }.items():
        code, out, err = shell.run(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), arguments
        assert reason in err
    code, _, err = shell.take(GOOD, DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    assert (code, err.count("\n")) == (2, 1)
    assert shell.take(GOOD)[0] == 0
    code, _, err = shell.take(GOOD, STAMPEDE_CATALOG_CURRENCY="EUR")
    assert code == 2
    assert "STAMPEDE_CATALOG_CURRENCY" in err


def test_what_the_file_says_does_not_steer_the_terminal(shell: Shell) -> None:
    code, out, _ = shell.take(
        '{"id": "\x1b[2J", "name": "[red]", "variants": [], "a\\u001b[31m": 1}\n', name="in.jsonl"
    )
    assert code == 1
    assert "\x1b" not in out


def test_an_export_is_the_same_after_an_import_elsewhere(shell: Shell, postgres_url: str) -> None:
    shell.take(GOOD + "mug,Mug,home,,MUG,,4.35\n", "--create-categories")
    for name in ("out.csv", "out.jsonl"):
        path = shell.folder / name
        code, out, err = shell.run("export", "products", str(path))
        assert (code, out) == (0, "")
        assert err == f"2 products with 3 variants exported to {path}\n"
        assert shell.run("import", "products", str(path))[1] == "0 created, 0 changed, 2 unchanged, 0 refused\n"
        assert [file.name for file in shell.folder.iterdir() if file.name.startswith(".")] == []
    before = (shell.folder / "out.jsonl").read_bytes()
    process = shell.start("export", "products", "-", "--format", "jsonl")
    assert process.communicate(timeout=60) == (before, b"2 products with 3 variants exported\n")
    asyncio.run(empty_tables(postgres_url))
    assert shell.run("import", "products", str(shell.folder / "out.csv"), "--create-categories")[0] == 0
    shell.run("export", "products", str(shell.folder / "again.jsonl"))
    assert (shell.folder / "again.jsonl").read_bytes() == before


def many(products: int, variants: int) -> str:
    rows = [
        f"p{n},Product {n},,,P{n}-{v},,{n % 90}.{v:02}\n" if v == 0 else f"p{n},,,,P{n}-{v},,{n % 90}.{v:02}\n"
        for n in range(products)
        for v in range(variants)
    ]
    return HEADER + "".join(rows)


def test_after_ctrl_c_every_product_is_in_whole_or_not_at_all(shell: Shell) -> None:
    path = shell.folder / "in.csv"
    path.write_text(many(20_000, 3))
    process = shell.start("import", "products", str(path))
    deadline = time.monotonic() + 60
    while shell.ask("SELECT 1 FROM catalog.products LIMIT 1") == []:
        assert time.monotonic() < deadline
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, b"")
    assert b"Interrupted" in out
    ((written,),) = shell.ask("SELECT count(*) FROM catalog.products")
    assert 0 < written < 20_000
    assert shell.ask("SELECT count(*) FROM catalog.prices WHERE replaced_at_ms IS NULL") == [(3 * written,)]
    assert shell.ask("SELECT count(*) FROM catalog.outbox") == [(written,)]
    assert shell.ask("SELECT status FROM users.admin_records") == [(500,)]
    path.write_text(many(written + 100, 3))
    assert shell.run("import", "products", str(path))[0] == 0
    assert shell.ask("SELECT count(*) FROM catalog.products") == [(written + 100,)]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_hundred_thousand_rows(shell: Shell) -> None:
    content = many(10_000, 10) + "bad,Bad,,,BAD,,-1\n"
    code, out, err = shell.take(content)
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        "line 100002: price: must be an amount such as 1299.99 (bad)",
        "10,000 created, 0 changed, 0 unchanged, 1 refused (1 rows)",
    ]
    assert shell.ask("SELECT count(*) FROM catalog.skus") == [(100_000,)]
