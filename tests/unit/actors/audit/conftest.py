"""The healthy history is lived once; every test gets a copy."""

import asyncio

import pytest

from persistence.memory.tables import MemoryTables
from tests.unit.actors.audit.healthy import History, live_a_while, run_shop


@pytest.fixture(scope="session")
def lived() -> MemoryTables:
    return asyncio.run(run_shop(live_a_while))


@pytest.fixture
def history(lived: MemoryTables) -> History:
    return History(lived)
