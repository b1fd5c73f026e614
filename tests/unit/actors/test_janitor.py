"""Old rows go by the batch, every few minutes; young ones stay."""

import asyncio

import msgspec

from actors.consumer_settings import JanitorSettings
from actors.janitor import Janitor
from persistence.memory.tables import MemoryTables, answer_key
from persistence.records import JOURNAL_SERVICES
from persistence.stores import open_memory_stores
from tests.contract.builders import answer
from tests.simulation.virtual_loop import run_virtual

DAY_MS = 86_400_000
NOW_MS = 100 * DAY_MS
SETTINGS = JanitorSettings(batch_rows_max=10)


def tables_with(ages_ms: list[int]) -> MemoryTables:
    """Every service remembers answers of these ages."""
    tables = MemoryTables()
    for answers in [tables.carts.idempotency, *(tables.journals[name].idempotency for name in JOURNAL_SERVICES)]:
        for n, age_ms in enumerate(ages_ms):
            row = msgspec.structs.replace(answer(f"key-{n}"), at_ms=NOW_MS - age_ms)
            answers[answer_key(row)] = row
    return tables


def left(tables: MemoryTables) -> list[int]:
    return [
        len(answers)
        for answers in [tables.carts.idempotency, *(tables.journals[name].idempotency for name in JOURNAL_SERVICES)]
    ]


def test_a_sweep_removes_everything_that_is_old_and_nothing_that_is_promised() -> None:
    async def scenario() -> None:
        tables = tables_with([8 * DAY_MS] * 25 + [7 * DAY_MS + 1, 7 * DAY_MS, 0])
        janitor = Janitor(open_memory_stores(lambda: NOW_MS, tables=tables).retention, lambda: NOW_MS, SETTINGS)
        assert await janitor.sweep() == 4 * 26
        assert left(tables) == [2, 2, 2, 2]
        assert await janitor.sweep() == 0

    run_virtual(scenario())


def test_it_sweeps_again_and_again() -> None:
    async def scenario() -> None:
        tables = tables_with([0])
        loop = asyncio.get_running_loop()
        began_s = loop.time()

        def now_ms() -> int:
            return NOW_MS + int((loop.time() - began_s) * 1e3) * 2_000  # two days and a half in a minute or two

        running = asyncio.create_task(Janitor(open_memory_stores(now_ms, tables=tables).retention, now_ms).run())
        await asyncio.sleep(1)
        assert left(tables) == [1, 1, 1, 1]
        await asyncio.sleep(2 * SETTINGS.interval_ms / 1e3)
        assert left(tables) == [0, 0, 0, 0]
        running.cancel()

    run_virtual(scenario(), time_max_s=10_000)
