"""What health checks ask of the stores."""

import pytest

from persistence.errors import StoreUnavailable
from persistence.settings import SCHEMAS, StoreSettings
from persistence.stores import Stores, open_stores


async def test_every_store_answers(stores: Stores) -> None:
    assert stores.probes
    for ask in stores.probes.values():
        await ask()


@pytest.mark.postgres
async def test_every_schema_has_its_probe(postgres_stores: Stores) -> None:
    assert set(postgres_stores.probes) == {f"postgresql.{schema}" for schema in SCHEMAS}


@pytest.mark.postgres
async def test_only_the_schema_that_cannot_be_reached_is_unavailable(settings: StoreSettings) -> None:
    nowhere = "postgresql://stampede@127.0.0.1:1/nowhere"
    apart = StoreSettings.of(settings.url("cluster"), carts_database_url=nowhere, connect_timeout_ms=2_000)
    stores = await open_stores(apart)
    try:
        with pytest.raises(StoreUnavailable):
            await stores.probes["postgresql.carts"]()
        await stores.probes["postgresql.orders"]()
    finally:
        await stores.close()


@pytest.mark.postgres
async def test_a_schema_that_is_not_there_is_unavailable(postgres_server: str) -> None:
    stores = await open_stores(StoreSettings.of(postgres_server))
    try:
        with pytest.raises(StoreUnavailable):
            await stores.probes["postgresql.orders"]()
    finally:
        await stores.close()


async def test_redis_is_asked_in_place_of_the_carts_schema(redis_stores: Stores) -> None:
    assert set(redis_stores.probes) == {f"postgresql.{schema}" for schema in SCHEMAS if schema != "carts"} | {"redis"}
    await redis_stores.probes["redis"]()
