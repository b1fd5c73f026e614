"""Opens the stores that the settings name. The only module that imports adapters."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from persistence.memory.audit_reads import MemoryAuditReads
from persistence.memory.carts import MemoryCarts
from persistence.memory.catalog import MemoryCatalog
from persistence.memory.journal import MemoryJournal
from persistence.memory.ledger import MemoryLedger
from persistence.memory.outbox import MemoryOutbox
from persistence.memory.ownership import MemoryOwnership
from persistence.memory.seams import Seams
from persistence.memory.tables import MemoryTables
from persistence.memory.users import MemoryUsers
from persistence.memory.views import MemoryOrders, MemoryPayments, MemoryStock
from persistence.ports import (
    AuditReads,
    Carts,
    Catalog,
    Journal,
    Ledger,
    Orders,
    Outbox,
    Ownership,
    Payments,
    Stock,
    Users,
)
from persistence.postgres.audit_reads import PostgresAuditReads
from persistence.postgres.carts import PostgresCarts
from persistence.postgres.catalog import PostgresCatalog
from persistence.postgres.database import Database
from persistence.postgres.journal import PostgresJournal
from persistence.postgres.ledger import PostgresLedger
from persistence.postgres.outbox import PostgresOutbox
from persistence.postgres.ownership import PostgresOwnership
from persistence.postgres.users import PostgresUsers
from persistence.postgres.views import PostgresOrders, PostgresPayments, PostgresStock
from persistence.records import JOURNAL_SERVICES, JournalService, OutboxService
from persistence.settings import SCHEMAS, StoreSettings


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
    users: Users
    ledger: Ledger
    outboxes: dict[OutboxService, Outbox] = field(default_factory=dict)
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

    async def let_go() -> None:
        for database in databases:
            await database.close()

    carts, catalog, users = (pools[settings.url(schema)] for schema in ("carts", "catalog", "users"))
    journals: dict[JournalService, Journal] = {
        service: PostgresJournal(service, pools[settings.url(service)]) for service in JOURNAL_SERVICES
    }
    return Stores(
        ownership=PostgresOwnership(pools[settings.url("cluster")]),
        journals=journals,
        orders=PostgresOrders(pools[settings.url("orders")]),
        payments=PostgresPayments(pools[settings.url("payments")]),
        stock=PostgresStock(pools[settings.url("inventory")]),
        carts=PostgresCarts(carts),
        catalog=PostgresCatalog(catalog),
        users=PostgresUsers(users),
        ledger=PostgresLedger(gateway),
        outboxes={
            "carts": PostgresOutbox("carts", carts),
            "catalog": PostgresOutbox("catalog", catalog),
            "users": PostgresOutbox("users", users),
        },
        let_go=let_go,
    )


def open_memory_stores(
    now_ms: Callable[[], int],
    *,
    tables: MemoryTables | None = None,
    seams: Seams | None = None,
    fencing: bool = True,
    views_joined: bool = True,
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
    return Stores(
        ownership=MemoryOwnership(held.cluster, now_ms, hooks),
        journals=journals,
        orders=MemoryOrders(held.journals["orders"], hooks),
        payments=MemoryPayments(held.journals["payments"], hooks),
        stock=MemoryStock(held.journals["inventory"], hooks),
        carts=MemoryCarts(held.carts, now_ms, hooks),
        catalog=MemoryCatalog(held.catalog, hooks),
        users=MemoryUsers(held.users, hooks),
        ledger=MemoryLedger(held.ledger, hooks),
        outboxes={
            "carts": MemoryOutbox(held.carts.outbox, now_ms, hooks),
            "catalog": MemoryOutbox(held.catalog.outbox, now_ms, hooks),
            "users": MemoryOutbox(held.users.outbox, now_ms, hooks),
        },
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
    return PostgresAuditReads({schema: databases[settings.url(schema)] for schema in SCHEMAS})


def open_memory_audit_reads(now_ms: Callable[[], int], tables: MemoryTables) -> AuditReads:
    """The same over tables in memory; without hooks, so that a simulation's faults do not reach its judge."""
    return MemoryAuditReads(tables, now_ms)
