"""A healthy history: one host over memory stores, bought from, paid, cancelled, refunded and delivered."""

import asyncio
import copy
import time
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from actors.audit.facts import DRAINED, Grace
from actors.audit.report import Report
from actors.audit.run import audit
from actors.domain import cart, inventory, order
from actors.domain.ids import order_id
from actors.member import Member, open_member
from actors.platform_host import HostIdentity, HostParts, PlatformHost
from actors.registry import ENTITY_TYPES, ORDER, PAYMENT, SKU
from actors.runtime.entity_type import EntityType
from actors.runtime.settings import RuntimeSettings
from cluster.errors import ClusterError
from cluster.local_transport import LocalTransport
from persistence.memory.tables import JournalTables, MemoryTables
from persistence.records import HostRow, JournalEvent, JournalService, ProductRecord, VariantRecord
from persistence.stores import Stores, open_memory_audit_reads, open_memory_stores

ADDRESS = order.Address(name="Ada", line1="1 Way", city="Town", postal_code="1000", country="DE")
SKUS = {"A": 129_999, "B": 1_050}
OK = "tok_ok"


def real_ms() -> int:
    return time.time_ns() // 1_000_000


class Shop:
    """A running platform in this process, and a client of it."""

    def __init__(self, tables: MemoryTables, stores: Stores, member: Member, host: PlatformHost) -> None:
        self.tables, self.stores, self.member, self.host = tables, stores, member, host

    async def ask(self, entity_type: str, entity_id: str, command: object, command_id: str | None = None) -> Any:
        """The reply; tried again while the host's shards are still coming."""
        while True:
            try:
                reply = await self.member.refs.ask(
                    entity_type,
                    entity_id,
                    command,
                    command_id=command_id,
                    idempotency=None,
                    actor="usr_1",
                    deadline_ms=8_000,
                )
            except ClusterError as error:
                if error.may_have_run:
                    raise
                await asyncio.sleep(0.05)
            else:
                return reply.reply

    async def buy(self, key: str, token: str | None = OK, cart_id: str = "", **wanted: int) -> str:
        """Place an order and return its id, whatever became of it."""
        id_ = order_id(b"secret", "usr_1", key)
        method = order.PaymentMethod(type="card", token=token) if token else None
        place = order.PlaceOrder(
            user_id="usr_1",
            email="ada@example.com",
            cart_id=cart_id,
            lines=tuple(order.WantedLine(sku=sku, quantity=quantity) for sku, quantity in wanted.items()),
            shipping_address=ADDRESS,
            payment_method=method,
        )
        await self.ask("order", id_, place)
        return id_

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for what happens behind an answer."""
        async with asyncio.timeout(20):
            while not holds():  # noqa: ASYNC110 - tables tell nobody when they change
                await asyncio.sleep(0.02)

    def at_rest(self) -> bool:
        """Nothing reserved but for those who wait to pay, and for the reservation through the API."""
        views = self.tables.journals["inventory"].views.values()
        return sum(getattr(view, "reserved", 0) for view in views) == 1 + 2


async def run_shop(story: Callable[[Shop], Any]) -> MemoryTables:
    """Play the story on a new platform; its tables once it has stopped."""
    tables = MemoryTables()
    stores = open_memory_stores(real_ms, tables=tables)
    network = LocalTransport(rng=Random(1), timeout_ms=3_000)

    async def opened() -> Stores:
        return stores

    host = PlatformHost(
        open_stores=opened,
        parts=HostParts(transport=network, runtime=RuntimeSettings(gateway_timeout_ms=150)),
        identity=HostIdentity(host="n-0", node="n", actor_name="a"),
        incarnation="1",
    )
    network.listen("a", host.exchange)
    await host.start()
    try:
        async with open_member(stores, network) as member:
            await story(Shop(tables, stores, member, host))
    finally:
        await host.stop()
    return tables


async def stock_up(shop: Shop) -> None:
    """Two SKUs, ten units each."""
    variants = tuple(
        VariantRecord(sku=sku, options={}, price_minor=price, price_version=1) for sku, price in SKUS.items()
    )
    product = ProductRecord(
        id="p",
        name="P",
        description="",
        brand="",
        currency="USD",
        categories=(),
        attributes={},
        images=(),
        variants=variants,
        version=1,
        created_at_ms=0,
        updated_at_ms=0,
    )
    await shop.stores.catalog.save_product(product, 0, [])
    for sku in SKUS:
        await shop.ask("sku", sku, inventory.AdjustStock(delta=10, reason="received"))


async def live_a_while(shop: Shop) -> None:
    """Every way an order can go, within seconds."""
    await stock_up(shop)
    await shop.buy("kept", A=1, B=2)
    cancelled = await shop.buy("cancelled", A=1, B=1)
    delivered = await shop.buy("delivered", A=1)
    refunded = await shop.buy("partly", B=1)
    await shop.buy("declined", "tok_declined", A=1)
    await shop.buy("once", "tok_error_once", A=1)
    await shop.buy("silent", "tok_timeout_succeeds", B=1)
    await shop.buy("too many", A=1, B=99)
    unpaid, paid_later = await shop.buy("unpaid", None, A=1), await shop.buy("later", None, B=1)
    dropped = await shop.buy("dropped", None, B=1)
    line = cart.CartLine(
        product_id="p", sku="A", name="P", unit_price=SKUS["A"], price_version=1, currency="USD", quantity=1
    )
    await shop.ask("cart", "cart-1", cart.AddLine(line=line, available=9))
    await shop.buy("cart", OK, "cart-1")
    await shop.ask("order", cancelled, order.CancelOrder(reason="changed my mind"))
    await shop.ask("order", dropped, order.CancelOrder())
    pay = order.PayOrder(amount=SKUS["B"], currency="USD", method=order.PaymentMethod(type="card", token=OK))
    await shop.ask("order", paid_later, pay)
    await shop.ask("order", refunded, order.RefundOrder(amount=50))
    await shop.ask("order", delivered, order.ShipOrder(carrier="DHL"))
    await shop.ask("order", delivered, order.DeliverOrder())
    await shop.ask("order", delivered, order.RefundOrder())
    hold = inventory.HoldExternally(order_id="theirs", quantity=2, ttl_ms=900_000)
    await shop.ask("sku", "B", hold, "hold-1")
    assert unpaid in shop.tables.journals["orders"].views
    silent = order_id(b"secret", "usr_1", "silent")
    await shop.until(lambda: getattr(shop.tables.journals["orders"].views[silent], "status", "") == "confirmed")
    await shop.until(shop.at_rest)


class History:
    """Copied tables to break, and what the audit says of them."""

    def __init__(self, tables: MemoryTables) -> None:
        self.tables = copy.deepcopy(tables)

    def journal(self, service: JournalService) -> JournalTables:
        return self.tables.journals[service]

    def events(self, service: JournalService) -> list[JournalEvent]:
        return [event for _, events in sorted(self.journal(service).journal.items()) for event in events]

    def last_ms(self) -> int:
        return max(event.at_ms for service in self.tables.journals for event in self.events(service))

    def of(self, key: str) -> str:
        """The id of the order that was placed with this key."""
        return order_id(b"secret", "usr_1", key)

    def find(self, type_: str, entity_id: str | None = None) -> JournalEvent:
        """The first event of this type (of this entity)."""
        service = {"order": "orders", "stock": "inventory", "payment": "payments"}[type_.partition(".")[0]]
        found = (event for event in self.events(service) if event.type == type_)  # type: ignore[arg-type]
        return next(event for event in found if entity_id in (None, event.entity_id))

    def decoded(self, event: JournalEvent) -> Any:
        return ENTITY_TYPES[event.entity_type].events.decode(event.type, event.schema_version, event.body)

    def rewrite(self, event: JournalEvent, **changes: Any) -> None:
        """Give an event other fields in its body."""
        body = msgspec.json.encode(msgspec.structs.replace(self.decoded(event), **changes))
        self.swap(event, msgspec.structs.replace(event, body=body))

    def swap(self, event: JournalEvent, other: JournalEvent) -> None:
        events = self._journal_of(event)
        events[events.index(event)] = other

    def append(self, service: JournalService, entity_id: str, event: Any, *, row: bool = True) -> None:
        """One more event as a host without guards would write it; with `row`, the row keeps up if it can be folded."""
        type_ = {"orders": ORDER, "inventory": SKU, "payments": PAYMENT}[service]
        mine = [held for held in self.events(service) if held.entity_id == entity_id]
        name, schema_version, body = type_.events.encode(event)
        tables, last = self.journal(service), mine[-1]
        head = tables.heads[last.shard]
        record = msgspec.structs.replace(
            last, seq=head.seq + 1, version=last.version + 1, type=name, schema_version=schema_version, body=body
        )
        tables.journal[last.shard].append(record)
        tables.heads[last.shard] = msgspec.structs.replace(head, seq=head.seq + 1)
        if row:
            self.refold(type_, service, entity_id)

    def refold(self, type_: EntityType, service: JournalService, entity_id: str) -> None:
        """Make the row what the events now come to: the bug was in `decide`, not in the store."""
        from actors.audit.journal import entity_id_of
        from actors.runtime.entity_type import Checkpoint, RowMeta
        from persistence.batches import view_id

        mine = [held for held in self.events(service) if held.entity_id == entity_id]
        state = type_.initial(entity_id)
        for record in mine:
            state = type_.apply(state, self.decoded(record))
        whole = type_.checkpoint is Checkpoint.STATE_ROW
        assert type_.view is not None
        meta = RowMeta(
            entity_id=entity_id,
            shard=mine[0].shard,
            version=len(mine),
            seqs=tuple(record.seq for record in mine),
            state=type_.encode_state(state) if whole else b"",
        )
        view = type_.view(state, meta)
        assert entity_id_of(view) == entity_id
        self.journal(service).views[view_id(view)] = view

    def drop_snapshots(self) -> None:
        """Mutants of a SKU's past would contradict its snapshot as well."""
        tables = self.journal("inventory")
        tables.snapshots.clear()
        for shard, head in tables.heads.items():
            tables.heads[shard] = msgspec.structs.replace(head, low_water=0)

    def _journal_of(self, event: JournalEvent) -> list[JournalEvent]:
        service = ENTITY_TYPES[event.entity_type].service
        assert service is not None
        return self.journal(service).journal[event.shard]

    async def audit(self, *, after_ms: int = 1_000, grace: Grace = DRAINED, running: bool = True) -> Report:
        """The audit, this long after the last event, of a platform with a living host."""
        now_ms = self.last_ms() + after_ms
        if running:
            living = HostRow(
                host="h",
                incarnation="1",
                node="n",
                actor_name="h-1",
                weight=1.0,
                renewed_at_ms=now_ms,
                expires_at_ms=now_ms + 6_000,
            )
            self.tables.cluster.hosts["h", "1"] = living
        return await audit(open_memory_audit_reads(lambda: now_ms, self.tables), grace=grace, recheck_after_ms=0)

    async def broken(self, **options: Any) -> set[str]:
        """The invariants that are found broken."""
        return {breach.invariant for breach in (await self.audit(**options)).breaches}
