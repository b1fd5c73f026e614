"""One audit: reads everything once, shard by shard, and a second time if something looked wrong.

    heads ─► rows, snapshots, returns, timers ─► heads again: inventory, payments, orders ─► prices
          ─► fold each journal up to its second head ─► ledger ─► compare

The order is what makes it exact on a platform under load. Rows lie between the two heads. Effects (stock, payments)
are read no further than their causes (orders), the gateway's ledger after both. What a cause must lead to has a
grace, by name (`Grace`), and anything found between services is looked for again before it counts.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from actors.audit.facts import LIVE, Findings, Grace, LineKey, Moment
from actors.audit.journal import (
    RowMark,
    ShardFold,
    Watcher,
    check_heads,
    entity_id_of,
    leftover_rows,
    mark_of,
)
from actors.audit.money import LedgerCheck, PaymentWatcher, check_payments, check_refunds
from actors.audit.orders import OrderWatcher, check_deadlines
from actors.audit.report import Report, confirmed, report_of
from actors.audit.stock import StockWatcher, check_external, check_lines, check_returns
from actors.audit.totals import PriceVersions
from actors.registry import ORDER, PAYMENT, SKU
from actors.runtime.entity_type import EntityType
from persistence.ports import AuditReads
from persistence.records import Head, JournalService, ShardRow, SnapshotRow, StockRow, ViewRow

RECHECK_AFTER_MS = 5_000
CAUSES_LAST: tuple[JournalService, ...] = ("inventory", "payments", "orders")
TYPES: Mapping[JournalService, EntityType] = {"inventory": SKU, "payments": PAYMENT, "orders": ORDER}


async def audit(reads: AuditReads, *, grace: Grace = LIVE, recheck_after_ms: int = RECHECK_AFTER_MS) -> Report:
    """Check the invariants from the stores. Raises `StoreUnavailable` when something cannot be read."""
    started_s = time.monotonic()
    report = await _pass(reads, grace)
    if report.running and any(breach.settling for breach in report.breaches):
        await asyncio.sleep(recheck_after_ms / 1e3)
        report = confirmed(report, await _pass(reads, grace))
    return msgspec.structs.replace(report, seconds=round(time.monotonic() - started_s, 3))


@dataclass(slots=True)
class _Read:
    """What was read before the journals."""

    before: Mapping[JournalService, Sequence[Head]]
    after: Mapping[JournalService, Sequence[Head]]
    shards: Sequence[ShardRow]
    marks: dict[JournalService, dict[str, RowMark]]
    stock: dict[str, StockRow]
    snapshots: dict[int, dict[str, SnapshotRow]]
    returns: set[LineKey]
    due: dict[str, int]
    """The timer rows of orders."""
    prices: PriceVersions
    now_ms: int
    running: bool
    renewed_at_ms: int
    findings: Findings = field(default_factory=Findings)
    last_event_ms: int = 0

    @property
    def as_of_ms(self) -> int:
        """Now; of a platform that does not run, when it last did something: deadlines stand still since."""
        return self.now_ms if self.running else max(self.last_event_ms, self.renewed_at_ms)


async def _pass(reads: AuditReads, grace: Grace) -> Report:
    read = await _read_tables(reads)
    findings = read.findings
    stock, payments, orders = StockWatcher(read.stock), PaymentWatcher(), OrderWatcher(read.prices)
    watchers: dict[JournalService, Watcher] = {"inventory": stock, "payments": payments, "orders": orders}
    for service, watcher in watchers.items():
        await _fold_service(reads, read, service, watcher)
        findings.add(watcher.findings)
    moment = Moment(as_of_ms=read.as_of_ms, grace=grace)
    findings.add(check_lines(orders.facts, stock.lines, moment))
    findings.add(check_external(stock.external, moment))
    findings.add(check_returns(read.returns, stock.lines))
    findings.add(check_payments(orders.facts, payments.facts, moment))
    findings.add(check_refunds(orders.facts, payments.facts, moment))
    findings.add(check_deadlines(orders.facts, read.due, moment))
    ledger = LedgerCheck(orders.facts, payments.facts, moment)
    async for page in reads.ledger():
        ledger.feed(page)
    ledger.finish()
    findings.add(ledger.findings)
    return report_of(findings, orders.facts, as_of_ms=moment.as_of_ms, running=read.running)


async def _read_tables(reads: AuditReads) -> _Read:
    findings = Findings()
    before = {service: await reads.heads(service) for service in CAUSES_LAST}
    marks: dict[JournalService, dict[str, RowMark]] = {service: {} for service in CAUSES_LAST}
    stock: dict[str, StockRow] = {}
    for service, held in marks.items():
        async for views in reads.views(service):
            for view in views:
                if isinstance(view, StockRow):
                    stock[view.sku] = view
                _mark(TYPES[service], view, held, findings)
    snapshots: dict[int, dict[str, SnapshotRow]] = {}
    async for taken in reads.snapshots():
        for snapshot in taken:
            snapshots.setdefault(snapshot.shard, {})[snapshot.entity_id] = snapshot
    returns = {(row.order_id, row.sku) async for page in reads.returns() for row in page}
    due = {
        timer.entity_id: timer.due_at_ms
        for head in before["orders"]
        for timer in await reads.timers("orders", head.shard)
        if timer.due_at_ms is not None
    }
    after = {service: await reads.heads(service) for service in CAUSES_LAST}
    now_ms, hosts, shards = await reads.now_ms(), await reads.hosts(), await reads.shards()
    for service in CAUSES_LAST:
        findings.add(check_heads(service, before[service], after[service], shards))
    return _Read(
        before=before,
        after=after,
        shards=shards,
        marks=marks,
        stock=stock,
        snapshots=snapshots,
        returns=returns,
        due=due,
        prices={
            (price.sku, price.version): (price.price_minor, price.currency)
            async for page in reads.prices()
            for price in page
        },
        now_ms=now_ms,
        running=any(host.expires_at_ms > now_ms for host in hosts),
        renewed_at_ms=max((host.renewed_at_ms for host in hosts), default=0),
        findings=findings,
    )


def _mark(type_: EntityType, view: ViewRow, held: dict[str, RowMark], findings: Findings) -> None:
    entity_id = entity_id_of(view)
    if entity_id in held:
        findings.breach("I9", f"{type_.name} {entity_id}", "it has two rows")
    try:
        held[entity_id] = mark_of(type_, view)
    except msgspec.MsgspecError as error:
        held[entity_id] = RowMark(version=view.version, digest=b"")
        findings.breach("I9", f"{type_.name} {entity_id}", f"its row cannot be read: {error}")


async def _fold_service(reads: AuditReads, read: _Read, service: JournalService, watcher: Watcher) -> None:
    before = {head.shard: head for head in read.before[service]}
    rows = read.marks[service]
    for head in read.after[service]:
        fold = ShardFold(
            TYPES[service],
            before.get(head.shard),
            head,
            rows=rows,
            snapshots=read.snapshots.get(head.shard, {}) if service == "inventory" else {},
            watcher=watcher,
            shard_count=len(read.shards),
        )
        async for events in reads.events(service, head.shard, head.seq):
            fold.feed(events)
            read.last_event_ms = max(read.last_event_ms, events[-1].at_ms)
        fold.finish()
        read.findings.add(fold.findings)
    read.findings.add(leftover_rows(TYPES[service], rows))
