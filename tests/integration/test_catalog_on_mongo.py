"""Files of products and the search index with the catalog in MongoDB: the commands as an operator types them."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pymongo
import pytest

from persistence.mongo.schema import prepare
from tests.integration.test_catalog_command import GOOD, Shell
from tests.servers.mongodb import MongoProcess, mongo_process
from tests.servers.postgres import empty_tables, postgres_server, postgres_url

__all__ = ["mongo_process", "postgres_server", "postgres_url"]

pytestmark = pytest.mark.postgres


@pytest.fixture
def shell(postgres_url: str, mongo_process: MongoProcess, tmp_path: Path) -> Shell:
    asyncio.run(empty_tables(postgres_url))
    asyncio.run(prepare(mongo_process.url))
    shell = Shell(postgres_url, tmp_path)
    shell.environment["MONGO_URL"] = mongo_process.url
    return shell


@pytest.fixture
def products(mongo_process: MongoProcess) -> Iterator["pymongo.collection.Collection[dict[str, object]]"]:
    with pymongo.MongoClient[dict[str, object]](mongo_process.url) as client:
        yield client.get_default_database()["products"]


def test_a_file_is_imported_exported_and_indexed(
    shell: Shell, products: "pymongo.collection.Collection[dict[str, object]]"
) -> None:
    code, _, said = shell.take(GOOD)
    assert code == 0, said
    assert [document["skus"] for document in products.find()] == [["SHIRT-S", "SHIRT-M"]]
    # Once more changes nothing.
    before = list(products.find())
    assert shell.take(GOOD)[0] == 0
    assert list(products.find()) == before
    code, shown, said = shell.run("export", "products", str(shell.folder / "out.csv"))
    assert code == 0, said
    exported = (shell.folder / "out.csv").read_text("utf-8")
    assert "SHIRT-S" in exported
    assert "19.99" in exported
    code, shown, said = shell.run("reindex")
    assert (code, "indexed 1 products" in shown) == (0, True), said


def test_nothing_of_it_is_in_postgresql(shell: Shell) -> None:
    assert shell.take(GOOD)[0] == 0
    for table in ("products", "prices", "outbox"):
        assert shell.ask(f"SELECT count(*) FROM catalog.{table}") == [(0,)]
