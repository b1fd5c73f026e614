"""Opens the stores that the settings name. The only module that imports adapters."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from persistence.kafka_settings import KafkaSettings
from persistence.memory.admin_records import MemoryAdminRecords
from persistence.memory.audit_reads import MemoryAuditReads
from persistence.memory.carts import MemoryCarts
from persistence.memory.catalog import MemoryCatalog
from persistence.memory.consumer_cursors import MemoryCursors
from persistence.memory.journal import MemoryJournal
from persistence.memory.ledger import MemoryLedger
from persistence.memory.notifications import MemoryNotifications
from persistence.memory.outbox import MemoryOutbox
from persistence.memory.ownership import MemoryOwnership
from persistence.memory.product_search import MemoryProductSearch
from persistence.memory.retention import MemoryRetention
from persistence.memory.seams import Seams
from persistence.memory.tables import MemoryTables
from persistence.memory.users import MemoryUsers
from persistence.memory.views import MemoryOrders, MemoryPayments, MemoryStock
from persistence.ports import (
    AdminRecords,
    AuditReads,
    Carts,
    Catalog,
    Cursors,
    EventBroker,
    Journal,
    Ledger,
    Mailer,
    Notifications,
    Orders,
    Outbox,
    Ownership,
    Payments,
    PriceReads,
    ProductSearch,
    Rates,
    Retention,
    Stock,
    Users,
)
from persistence.postgres.admin_records import PostgresAdminRecords
from persistence.postgres.audit_reads import PostgresAuditReads
from persistence.postgres.carts import PostgresCarts
from persistence.postgres.catalog import PostgresCatalog
from persistence.postgres.consumer_cursors import PostgresCursors
from persistence.postgres.database import Database
from persistence.postgres.journal import PostgresJournal
from persistence.postgres.ledger import PostgresLedger
from persistence.postgres.notifications import PostgresNotifications
from persistence.postgres.outbox import PostgresOutbox
from persistence.postgres.ownership import PostgresOwnership
from persistence.postgres.probes import probe_of
from persistence.postgres.product_search import PostgresProductSearch
from persistence.postgres.retention import PostgresRetention
from persistence.postgres.users import PostgresUsers
from persistence.postgres.views import PostgresOrders, PostgresPayments, PostgresStock
from persistence.records import ANSWER_SERVICES, JOURNAL_SERVICES, Channel, JournalService, OutboxService
from persistence.settings import SCHEMAS, StoreSettings
from persistence.sms_log import SmsLog
from persistence.smtp.mailer import SmtpMailer
from persistence.smtp_url import parse_sender, parse_smtp_url


async def _nothing_to_close() -> None:
    """The memory adapters hold no connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Every store of one process, opened. Close them with `close()`."""

    ownership: Ownership
    journals: dict[JournalService, Journal]
    orders: Orders
    payments: Payments
    stock: Stock
    carts: Carts
    catalog: Catalog
    search: ProductSearch
    users: Users
    notifications: Notifications
    admin_records: AdminRecords
    ledger: Ledger
    retention: Retention
    outboxes: dict[OutboxService, Outbox] = field(default_factory=dict)
    cursors: dict[JournalService, Cursors] = field(default_factory=dict)
    mailers: dict[Channel, Mailer] = field(default_factory=dict)
    events: EventBroker | None = None
    """Where events are published; without one who follows them reads the journals and outboxes."""
    rates: Rates | None = None
    """Rate limits that all replicas share; without it each counts for itself."""
    probes: dict[str, Callable[[], Awaitable[object]]] = field(default_factory=dict)
    """By store: raises `StoreUnavailable` unless it answers."""
    let_go: Callable[[], Awaitable[None]] = _nothing_to_close

    async def close(self) -> None:
        """Let go of every connection. Call it once, after the last call of any store."""
        await self.let_go()


async def open_stores(settings: StoreSettings) -> Stores:
    """The stores that the settings name. Connects on first use; run `migrate` before, once a platform."""
    # One pool a distinct URL; the gateway's ledger has its own, as someone else's system would.
    pools = {
        url: Database(url, settings) for url in {settings.url(schema) for schema in SCHEMAS if schema != "gateway"}
    }
    gateway = Database(settings.url("gateway"), settings)
    databases = [*pools.values(), gateway]
    for database in databases:
        await database.open()

    mailers = _mailers(settings)

    async def let_go() -> None:
        for mailer in mailers.values():
            await mailer.close()
        for database in databases:
            await database.close()

    carts, catalog, users = (pools[settings.url(schema)] for schema in ("carts", "catalog", "users"))
    journals: dict[JournalService, Journal] = {
        service: PostgresJournal(service, pools[settings.url(service)]) for service in JOURNAL_SERVICES
    }
    opened = Stores(
        ownership=PostgresOwnership(pools[settings.url("cluster")]),
        journals=journals,
        orders=PostgresOrders(pools[settings.url("orders")]),
        payments=PostgresPayments(pools[settings.url("payments")]),
        stock=PostgresStock(pools[settings.url("inventory")]),
        carts=PostgresCarts(carts),
        catalog=PostgresCatalog(catalog),
        search=PostgresProductSearch(catalog),
        users=PostgresUsers(users),
        notifications=PostgresNotifications(users),
        admin_records=PostgresAdminRecords(users),
        ledger=PostgresLedger(gateway),
        retention=PostgresRetention({service: pools[settings.url(service)] for service in ANSWER_SERVICES}, users),
        outboxes={
            "carts": PostgresOutbox("carts", carts),
            "catalog": PostgresOutbox("catalog", catalog),
            "users": PostgresOutbox("users", users),
        },
        cursors={service: PostgresCursors(service, pools[settings.url(service)]) for service in JOURNAL_SERVICES},
        mailers=mailers,
        events=open_events(settings),
        probes={
            f"postgresql.{schema}": probe_of(gateway if schema == "gateway" else pools[settings.url(schema)], schema)
            for schema in SCHEMAS
        },
        let_go=let_go,
    )
    if opened.events is not None:
        opened.probes["kafka"] = opened.events.ping
    return _with_opensearch(_with_mongo(_with_redis(opened, settings), settings), settings)


def _with_redis(stores: Stores, settings: StoreSettings) -> Stores:
    """These, with the carts, their outbox and answers, and rate limits in the Redis that the settings name."""
    if settings.redis_url is None:
        return stores
    # A process without Redis need not load its driver.
    from persistence.redis.stores import open_redis  # noqa: PLC0415

    redis = open_redis(settings.redis_url.get_secret_value(), settings, stores.retention)

    async def let_go() -> None:
        await redis.close()
        await stores.let_go()

    return replace(
        stores,
        carts=redis.carts,
        outboxes={**stores.outboxes, "carts": redis.outbox},
        retention=redis.retention,
        rates=redis.rates,
        probes={
            **{name: ask for name, ask in stores.probes.items() if name != "postgresql.carts"},
            "redis": redis.probe,
        },
        let_go=let_go,
    )


def _with_mongo(stores: Stores, settings: StoreSettings) -> Stores:
    """These, with the catalog and its outbox in the MongoDB that the settings name."""
    if settings.mongo_url is None:
        return stores
    # A process without MongoDB need not load its driver.
    from persistence.mongo.stores import open_mongo  # noqa: PLC0415

    mongo = open_mongo(settings.mongo_url.get_secret_value(), settings)

    async def let_go() -> None:
        await mongo.close()
        await stores.let_go()

    return replace(
        stores,
        catalog=mongo.catalog,
        outboxes={**stores.outboxes, "catalog": mongo.outbox},
        probes={**stores.probes, "mongodb": mongo.probe},
        let_go=let_go,
    )


def _with_opensearch(stores: Stores, settings: StoreSettings) -> Stores:
    """These, with the search index in the OpenSearch that the settings name."""
    if settings.opensearch_url is None:
        return stores
    # A process without OpenSearch need not load its driver.
    from persistence.opensearch.product_search import open_search  # noqa: PLC0415

    search = open_search(settings.opensearch_url.get_secret_value(), settings)

    async def let_go() -> None:
        await search.close()
        await stores.let_go()

    return replace(stores, search=search, probes={**stores.probes, "opensearch": search.probe}, let_go=let_go)


def open_events(settings: KafkaSettings) -> EventBroker | None:
    """The broker that the settings name. Connects on first use."""
    if settings.kafka_bootstrap_servers is None:
        return None
    # A process without Kafka need not load its driver.
    from persistence.kafka.broker import KafkaBroker  # noqa: PLC0415

    return KafkaBroker(settings)


def _mailers(settings: StoreSettings) -> dict[Channel, Mailer]:
    """By channel; what has none is kept in the built-in mailbox."""
    mailers: dict[Channel, Mailer] = {"sms": SmsLog()}
    if settings.smtp_url is not None:
        server = parse_smtp_url(settings.smtp_url.get_secret_value())
        mailers["email"] = SmtpMailer(server, parse_sender(settings.mail_from))
    return mailers


def open_memory_stores(
    now_ms: Callable[[], int],
    *,
    tables: MemoryTables | None = None,
    seams: Seams | None = None,
    fencing: bool = True,
    views_joined: bool = True,
    events: EventBroker | None = None,
) -> Stores:
    """Stores in memory, on a clock of the caller's.

    Several hosts of a simulation pass the same `tables` and each their own `seams`. `fencing=False` and
    `views_joined=False` plant the bugs that `MemoryJournal` describes.
    """
    held = tables or MemoryTables()
    hooks = seams or Seams()
    journals: dict[JournalService, Journal] = {
        service: MemoryJournal(service, held.journals[service], hooks, fencing, views_joined)
        for service in JOURNAL_SERVICES
    }
    ownership = MemoryOwnership(held.cluster, now_ms, hooks)
    return Stores(
        ownership=ownership,
        journals=journals,
        orders=MemoryOrders(held.journals["orders"], hooks),
        payments=MemoryPayments(held.journals["payments"], hooks),
        stock=MemoryStock(held.journals["inventory"], hooks),
        carts=MemoryCarts(held.carts, now_ms, hooks),
        catalog=MemoryCatalog(held.catalog, hooks),
        search=MemoryProductSearch(held.search, hooks),
        users=MemoryUsers(held.users, hooks),
        notifications=MemoryNotifications(held.users, hooks),
        admin_records=MemoryAdminRecords(held.users.admin_records, hooks),
        ledger=MemoryLedger(held.ledger, hooks),
        retention=MemoryRetention(held, hooks),
        outboxes={
            "carts": MemoryOutbox(held.carts.outbox, hooks),
            "catalog": MemoryOutbox(held.catalog.outbox, hooks),
            "users": MemoryOutbox(held.users.outbox, hooks),
        },
        cursors={service: MemoryCursors(service, held.journals[service], hooks) for service in JOURNAL_SERVICES},
        events=events,
        probes={"memory": ownership.now_ms},
    )


async def open_audit_reads(settings: StoreSettings) -> AuditReads:
    """What the audit reads, on connections of its own. Close it."""
    # The patience of a reader of whole tables: nobody waits for its statements.
    patient = settings.model_copy(
        update={"statement_timeout_ms": 60_000, "answer_timeout_ms": 65_000, "connect_timeout_ms": 5_000}
    )
    databases = {url: Database(url, patient) for url in {settings.url(schema) for schema in SCHEMAS}}
    for database in databases.values():
        await database.open()
    return PostgresAuditReads(
        {schema: databases[settings.url(schema)] for schema in SCHEMAS}, _prices_elsewhere(patient)
    )


def _prices_elsewhere(settings: StoreSettings) -> PriceReads | None:
    """Where the price versions are read, unless the catalog is in PostgreSQL."""
    if settings.mongo_url is None:
        return None
    from persistence.mongo.stores import open_price_reads  # noqa: PLC0415 - as above

    return open_price_reads(settings.mongo_url.get_secret_value(), settings)


def open_memory_audit_reads(now_ms: Callable[[], int], tables: MemoryTables) -> AuditReads:
    """The same over tables in memory; without hooks, so that a simulation's faults do not reach its judge."""
    return MemoryAuditReads(tables, now_ms)
