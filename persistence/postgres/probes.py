"""Whether a schema's server answers: what health checks ask."""

from collections.abc import Awaitable, Callable

from persistence.postgres.database import Database
from persistence.settings import Schema

Probe = Callable[[], Awaitable[object]]


def probe_of(database: Database, schema: Schema) -> Probe:
    """The cheapest read that needs the server, the database and the schema. Raises `StoreUnavailable`."""
    statement = f"SELECT min_code_version FROM {schema}.schema_version"  # noqa: S608 - a name of our own

    async def ask() -> object:
        return await database.read(statement)

    return ask
