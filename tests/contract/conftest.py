"""Every contract suite runs against memory and PostgreSQL: the fixture `stores` is parametrised with both."""

import time
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from persistence.postgres.database import Database
from persistence.settings import StoreSettings
from persistence.stores import Stores, open_memory_stores, open_stores
from tests.servers.mongodb import empty_mongo, mongo_process, mongo_url
from tests.servers.opensearch import opensearch_process, opensearch_server, opensearch_url
from tests.servers.postgres import empty_tables, postgres_server, postgres_url
from tests.servers.redis import empty_redis, redis_process, redis_url

__all__ = [
    "mongo_process",
    "mongo_url",
    "opensearch_process",
    "opensearch_server",
    "opensearch_url",
    "postgres_server",
    "postgres_url",
    "redis_process",
    "redis_url",
]

MEMORY_AND_POSTGRES = ["memory", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture
def settings(postgres_url: str) -> StoreSettings:
    """Settings of the session's database, patient: a busy machine is not a fault. Tests of limits set their own."""
    return StoreSettings.of(
        postgres_url,
        connect_timeout_ms=20_000,
        lock_timeout_ms=10_000,
        statement_timeout_ms=20_000,
        answer_timeout_ms=30_000,
    )


@pytest.fixture
async def postgres_stores(settings: StoreSettings) -> AsyncIterator[Stores]:
    """PostgreSQL's stores, empty."""
    await empty_tables(settings.url("cluster"))
    stores = await open_stores(settings)
    yield stores
    await stores.close()


@pytest.fixture
async def redis_stores(settings: StoreSettings, redis_url: str) -> AsyncIterator[Stores]:
    """PostgreSQL's stores with the carts in Redis, empty."""
    await empty_tables(settings.url("cluster"))
    empty_redis(redis_url)
    stores = await open_stores(settings.model_copy(update={"redis_url": SecretStr(redis_url)}))
    yield stores
    await stores.close()


@pytest.fixture
async def opensearch_stores(settings: StoreSettings, opensearch_url: str) -> AsyncIterator[Stores]:
    """PostgreSQL's stores with the search index in OpenSearch, empty."""
    stores = await open_stores(settings.model_copy(update={"opensearch_url": SecretStr(opensearch_url)}))
    yield stores
    await stores.close()


@pytest.fixture
async def mongo_settings(settings: StoreSettings, mongo_url: str) -> StoreSettings:
    """Settings with a prepared, empty MongoDB."""
    with_mongo = settings.model_copy(update={"mongo_url": SecretStr(mongo_url)})
    await empty_mongo(with_mongo)
    return with_mongo


@pytest.fixture
async def mongo_stores(mongo_settings: StoreSettings) -> AsyncIterator[Stores]:
    """PostgreSQL's stores with the catalog in MongoDB, empty."""
    await empty_tables(mongo_settings.url("cluster"))
    stores = await open_stores(mongo_settings)
    yield stores
    await stores.close()


@pytest.fixture
async def database(settings: StoreSettings) -> AsyncIterator[Database]:
    """Connections of the test's own, for what a port cannot do."""
    database = Database(settings.url("cluster"), settings)
    await database.open()
    yield database
    await database.close()


@pytest.fixture(params=MEMORY_AND_POSTGRES)
def stores(request: pytest.FixtureRequest) -> Stores:
    """Every store, empty: once in memory, once in PostgreSQL."""
    if request.param == "memory":
        return open_memory_stores(lambda: time.time_ns() // 1_000_000)
    stores: Stores = request.getfixturevalue("postgres_stores")
    return stores
