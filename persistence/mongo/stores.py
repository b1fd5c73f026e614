"""What MongoDB holds, on one process's connections."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from persistence.mongo.audit_reads import MongoPriceReads
from persistence.mongo.catalog import MongoCatalog
from persistence.mongo.database import MongoDatabase
from persistence.mongo.outbox import MongoOutbox
from persistence.mongo.probes import probe_of
from persistence.settings import StoreSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class MongoStores:
    """The catalog, its outbox, and whether they answer."""

    catalog: MongoCatalog
    outbox: MongoOutbox
    probe: Callable[[], Awaitable[object]]
    close: Callable[[], Awaitable[None]]


def open_mongo(url: str, settings: StoreSettings) -> MongoStores:
    """Connects on first use. Raises `StoreUnavailable` for a URL that the driver does not take."""
    database = MongoDatabase(url, settings)
    return MongoStores(
        catalog=MongoCatalog(database), outbox=MongoOutbox(database), probe=probe_of(database), close=database.close
    )


def open_price_reads(url: str, settings: StoreSettings) -> MongoPriceReads:
    """What the audit reads, on connections of its own. Close it."""
    return MongoPriceReads(MongoDatabase(url, settings))
