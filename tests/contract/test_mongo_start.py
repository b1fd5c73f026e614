"""What the platform's start asks of MongoDB: one line that names MONGO_URL, or a prepared database."""

import asyncio
import warnings

import pymongo
import pytest
from pydantic import SecretStr

import persistence.mongo.schema
from persistence.errors import StoreUnavailable, WriteRefused
from persistence.mongo.schema import _Limits, prepare
from persistence.mongo_settings import MongoSettings
from persistence.settings import StoreSettings
from persistence.stores import open_stores
from serve.platform.errors import UserError
from serve.platform.mongo_check import prepare_mongo
from tests.contract.builders import product
from tests.servers.mongodb import MongoProcess, empty_mongo

pytestmark = pytest.mark.postgres

PASSWORD = "s3cret-w0rd"
IMPATIENT = _Limits(pool_connections_max=1, connect_timeout_ms=300, statement_timeout_ms=500, answer_timeout_ms=5_000)


@pytest.fixture
def guarded(mongo_process: MongoProcess) -> str:
    """The URL of a server that asks who comes, with a `%s` where the password belongs."""
    with pymongo.MongoClient[dict[str, object]](mongo_process.url) as client:
        client.admin.command("createUser", "shop", pwd=PASSWORD, roles=["root"])
    mongo_process.kill()
    mongo_process.login = True
    mongo_process.start()
    return f"mongodb://shop:%s@127.0.0.1:{mongo_process.port}/?directConnection=true"


def mongo_url_of(settings: StoreSettings) -> str:
    assert settings.mongo_url is not None
    return settings.mongo_url.get_secret_value()


async def test_it_is_prepared_any_number_of_times_at_once_and_keeps_what_is_there(
    mongo_settings: StoreSettings,
) -> None:
    url = mongo_url_of(mongo_settings)
    stores = await open_stores(mongo_settings)
    await stores.catalog.save_product(product(), 0, [])
    assert await stores.outboxes["catalog"].take() == 1
    await asyncio.gather(*(prepare(url) for _ in range(4)))
    assert await stores.catalog.product("prod-laptop-001") == product()
    assert await stores.outboxes["catalog"].take() == 2
    await stores.close()


async def test_an_old_server_is_refused(mongo_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence.mongo.schema, "MIN_SERVER", (99, 0))
    with pytest.raises(StoreUnavailable, match=r"MONGO_URL: the server is MongoDB [\d.]+; 99\.0 or newer is needed"):
        await prepare(mongo_url_of(mongo_settings))


async def test_a_database_of_newer_code_is_refused(mongo_settings: StoreSettings) -> None:
    url = mongo_url_of(mongo_settings)
    with pymongo.MongoClient[dict[str, object]](url) as client:
        meta = client.get_default_database()["meta"]
        meta.update_one({}, {"$set": {"min_code_version": "99.0.0"}})
        try:
            with pytest.raises(WriteRefused, match=r"MONGO_URL: database .* needs Stampede 99"):
                await prepare(url)
        finally:
            meta.delete_many({})
            await empty_mongo(mongo_settings)


def start(url: str) -> str:
    """What the operator reads; one line without the password."""
    with pytest.raises(UserError) as refused:
        prepare_mongo(MongoSettings(mongo_url=SecretStr(url)))
    text = str(refused.value)
    assert "MONGO_URL" in text
    assert "\n" not in text
    assert len(text) < 400
    assert PASSWORD not in text
    return text


def test_a_wrong_password_is_told_and_the_right_one_works(guarded: str) -> None:
    assert "refuses this user or password" in start(guarded % "wrong")
    prepare_mongo(MongoSettings(mongo_url=SecretStr(guarded % PASSWORD)))


async def test_a_store_with_a_wrong_password_is_unavailable(guarded: str, settings: StoreSettings) -> None:
    stores = await open_stores(settings.model_copy(update={"mongo_url": SecretStr(guarded % "wrong")}))
    try:
        for call in (stores.probes["mongodb"], stores.catalog.category_ids):
            with pytest.raises(StoreUnavailable, match="MONGO_URL: the server refuses this user or password"):
                await call()
    finally:
        await stores.close()


def test_a_server_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence.mongo.schema, "_FIRST_WORD", IMPATIENT)
    said = start(f"mongodb://shop:{PASSWORD}@127.0.0.1:1/catalog")
    assert "no server there answers" in said
    assert "127.0.0.1:1" in said


def test_a_host_that_nobody_knows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence.mongo.schema, "_FIRST_WORD", IMPATIENT)
    assert "nowhere.invalid" in start(f"mongodb://shop:{PASSWORD}@nowhere.invalid/catalog")


@pytest.mark.parametrize("options", ["authMechanism=GUESS", "tls=true&tlsCAFile=/nonexistent", "compressors=x&w=-1"])
def test_options_that_the_driver_does_not_take_are_told(monkeypatch: pytest.MonkeyPatch, options: str) -> None:
    monkeypatch.setattr(persistence.mongo.schema, "_FIRST_WORD", IMPATIENT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        start(f"mongodb://shop:{PASSWORD}@127.0.0.1:1/catalog?{options}")
