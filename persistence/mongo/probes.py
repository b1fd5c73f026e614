"""Whether MongoDB answers: what health checks ask."""

from collections.abc import Awaitable, Callable

from persistence.mongo.database import MongoDatabase
from persistence.mongo.schema import SCHEMA_ID, not_prepared


def probe_of(database: MongoDatabase) -> Callable[[], Awaitable[object]]:
    """The cheapest read that needs the server, the login and the prepared database. Raises `StoreUnavailable`."""

    async def ask() -> object:
        found = await database.find(database.meta, {"_id": SCHEMA_ID}, limit=1)
        if not found:
            raise not_prepared(database)
        return found

    return ask
