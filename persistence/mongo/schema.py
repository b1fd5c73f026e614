"""Makes the collections' indexes, and looks whether this server and this code fit. Done at every start."""

import contextlib
from dataclasses import dataclass
from functools import partial

from pymongo import ASCENDING, IndexModel

from persistence.errors import AlreadyExists, StoreUnavailable, WriteRefused
from persistence.mongo.database import Collection, Document, MongoDatabase
from persistence.mongo.faults import PRICE_LINKS
from persistence.settings import CODE_VERSION

MIN_SERVER = (5, 0)
MIN_CODE_VERSION = "0.1.0"
"""The oldest code that understands what this code writes."""
SCHEMA_ID = "catalog"
EVENT_IDS = "events"
"""Counts the ids of events."""
OUTBOX_CONSUMER = "outbox"


def _index(name: str, *fields: str, unique: bool = False, sparse: bool = False) -> IndexModel:
    return IndexModel([(field, ASCENDING) for field in fields], name=name, unique=unique, sparse=sparse)


_PRODUCT_INDEXES = [
    _index("by_name", "deleted", "name_key", "_id"),
    _index("by_price", "deleted", "price_minor", "_id"),
    _index("by_age", "deleted", "created_at_ms", "_id"),
    _index("of_category", "categories", "name_key", "_id"),
    # Sparse: a product without SKUs has none of these fields.
    _index("skus", "skus", unique=True, sparse=True),
    _index(PRICE_LINKS, PRICE_LINKS, unique=True, sparse=True),
    _index("known_skus", "known_skus", sparse=True),
    _index("pending_events", "pending_events.id", sparse=True),
]
_PRICE_INDEXES = [_index("by_version", "sku", "version", unique=True)]
_CATEGORY_INDEXES = [_index("by_name", "name", "_id")]


@dataclass(frozen=True)
class _Limits:
    pool_connections_max: int
    connect_timeout_ms: int
    statement_timeout_ms: int
    answer_timeout_ms: int


# The driver looks for a server as long as a statement may take.
_FIRST_WORD = _Limits(
    pool_connections_max=1, connect_timeout_ms=5_000, statement_timeout_ms=10_000, answer_timeout_ms=15_000
)
_PATIENT = _Limits(
    pool_connections_max=1, connect_timeout_ms=5_000, statement_timeout_ms=600_000, answer_timeout_ms=610_000
)
"""Nobody waits for an index but the start."""


async def prepare(url: str) -> None:
    """Make what is missing; once more, or by two at once, is the same.

    Raises `StoreUnavailable` or `WriteRefused`, in one line that names `MONGO_URL`.
    """
    database = MongoDatabase(url, _FIRST_WORD)
    try:
        await _check_server(database)
        await _check_schema(database)
    finally:
        await database.close()
    database = MongoDatabase(url, _PATIENT)
    try:
        await database.write(lambda: database.products.create_indexes(_PRODUCT_INDEXES))
        await database.write(lambda: database.prices.create_indexes(_PRICE_INDEXES))
        await database.write(lambda: database.categories.create_indexes(_CATEGORY_INDEXES))
        await _make_documents(database)
    finally:
        await database.close()


async def _check_server(database: MongoDatabase) -> None:
    version: str = (await database.command("buildInfo"))["version"]
    if _parts(version) < MIN_SERVER:
        needed = ".".join(map(str, MIN_SERVER))
        raise StoreUnavailable(f"MONGO_URL: the server is MongoDB {version}; {needed} or newer is needed")


async def _check_schema(database: MongoDatabase) -> None:
    found = await database.find(database.meta, {"_id": SCHEMA_ID}, limit=1)
    if found and _parts(CODE_VERSION) < _parts(found[0]["min_code_version"]):
        least = found[0]["min_code_version"]
        raise WriteRefused(
            f"MONGO_URL: database {database.name} needs Stampede {least} or newer; this is {CODE_VERSION}"
        )


async def _make_documents(database: MongoDatabase) -> None:
    """Those there is one of. Here, so that no other code makes them, at the same time as somebody else."""
    singles: list[tuple[Collection, str, Document]] = [
        (database.counters, EVENT_IDS, {"last": 0}),
        (database.consumers, OUTBOX_CONSUMER, {"epoch": 0, "done": []}),
        # The last: with it the database is prepared.
        (database.meta, SCHEMA_ID, {"min_code_version": MIN_CODE_VERSION}),
    ]
    for collection, document_id, fields in singles:
        # Another starter may do it at the same time.
        with contextlib.suppress(AlreadyExists):
            await database.write(partial(collection.insert_one, {"_id": document_id, **fields}))


def not_prepared(database: MongoDatabase) -> StoreUnavailable:
    """What is said of a database in which `prepare` never ran, or which has lost something since."""
    return StoreUnavailable(f"MONGO_URL: database {database.name} is not prepared; the start of the platform does it")


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("-", maxsplit=1)[0].split(".") if part.isdigit())
