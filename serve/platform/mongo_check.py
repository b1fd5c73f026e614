"""Whether the MongoDB that MONGO_URL names can hold the catalog, and its indexes: before anything is started on it."""

import asyncio

from persistence.errors import StoreError
from persistence.mongo_settings import MongoSettings
from serve.platform.errors import UserError


def prepare_mongo(settings: MongoSettings) -> None:
    """Raises `UserError` unless it answers, is new enough, and its indexes are there. The URL is not shown."""
    # A platform without MongoDB need not load its driver.
    from persistence.mongo.schema import prepare  # noqa: PLC0415

    assert settings.mongo_url is not None
    try:
        asyncio.run(prepare(settings.mongo_url.get_secret_value()))
    except StoreError as error:
        raise UserError(f"the server that MONGO_URL names cannot be used: {error}") from error
