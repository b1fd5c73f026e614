"""`audit` against a real database: what it prints, and its exit code."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from persistence.records import ReturnRow
from persistence.settings import StoreSettings
from persistence.stores import Stores, open_stores
from serve.audit import EXIT_BREACH, EXIT_CLEAN, EXIT_UNREAD, run
from tests.contract.builders import batch, movement
from tests.servers.postgres import empty_tables, postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]


@pytest.fixture
def settings(postgres_url: str) -> StoreSettings:
    asyncio.run(empty_tables(postgres_url))
    return StoreSettings.of(postgres_url, connect_timeout_ms=20_000)


def write(settings: StoreSettings, what: Callable[[Stores], Coroutine[Any, Any, object]]) -> None:
    async def written() -> None:
        stores = await open_stores(settings)
        try:
            await what(stores)
        finally:
            await stores.close()

    asyncio.run(written())


@pytest.mark.postgres
def test_an_empty_platform_is_clean(settings: StoreSettings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(settings, json=True) == EXIT_CLEAN
    report = json.loads(capsys.readouterr().out)
    assert report["clean"]
    assert report["breaches"] == []
    assert set(report["checked"]) == {f"I{n}" for n in (*range(1, 10), 11, 12, 13)}
    assert run(settings, json=False) == EXIT_CLEAN
    assert "I13" in capsys.readouterr().out


@pytest.mark.postgres
def test_a_breach_is_named_and_the_exit_code_tells(settings: StoreSettings, capsys: pytest.CaptureFixture[str]) -> None:
    async def break_it(stores: Stores) -> None:
        await stores.journals["inventory"].fence(1, 1)
        await stores.journals["inventory"].append([batch(events=0, returns=[ReturnRow(order_id="ord_1", sku="A")])])
        await stores.ledger.put([movement(), movement("ord_1:capture:2")])

    write(settings, break_it)
    assert run(settings, json=True) == EXIT_BREACH
    report = json.loads(capsys.readouterr().out)
    assert {breach["invariant"] for breach in report["breaches"]} == {"I1", "I4"}
    assert {"invariant", "subject", "detail"} == set(report["breaches"][0])
    assert run(settings, json=False) == EXIT_BREACH
    assert "order ord_1 sku A" in capsys.readouterr().out


def test_a_database_that_does_not_answer_is_no_breach(capsys: pytest.CaptureFixture[str]) -> None:
    settings = StoreSettings.of("postgresql://nobody@127.0.0.1:1/nothing")
    assert run(settings, json=True) == EXIT_UNREAD
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "could not be read" in shown.err
