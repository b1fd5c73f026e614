"""One thing broken at a time in journals, rows and transitions: I8, I9, I11, I13."""

import msgspec
import pytest

from actors.domain import order
from actors.domain.decision import CommandMark
from actors.registry import ORDER
from persistence.records import OrderRow, ShardRow, SnapshotRow, StockRow
from tests.unit.actors.audit.healthy import History

MARK = CommandMark(command_id="c", until_ms=0, fingerprint="", actor="system")


def order_row(history: History, key: str) -> OrderRow:
    row = history.journal("orders").views[history.of(key)]
    assert isinstance(row, OrderRow)
    return row


async def test_a_gap_in_the_journal(history: History) -> None:
    confirmed = history.find("order.confirmed", history.of("kept"))
    history.journal("orders").journal[confirmed.shard].remove(confirmed)
    assert "I8" in await history.broken()


async def test_the_last_event_of_a_shard_is_lost(history: History) -> None:
    shard, events = next((shard, events) for shard, events in history.journal("orders").journal.items() if events)
    events.pop()
    report = await history.audit()
    assert f"orders shard {shard}" in {breach.subject for breach in report.breaches if breach.invariant == "I8"}


async def test_a_version_twice(history: History) -> None:
    confirmed = history.find("order.confirmed", history.of("kept"))
    history.append("orders", history.of("kept"), history.decoded(confirmed), row=False)
    last = history.journal("orders").journal[confirmed.shard][-1]
    history.swap(last, msgspec.structs.replace(last, version=confirmed.version))
    assert "I8" in await history.broken()


async def test_an_entity_in_a_shard_where_it_is_not_at_home(history: History) -> None:
    shards = history.tables.cluster.shards
    for shard in list(shards)[100:]:
        del shards[shard]
    assert "I8" in await history.broken()


async def test_an_epoch_that_nobody_claimed(history: History) -> None:
    shard = next(iter(history.journal("orders").heads))
    history.tables.cluster.shards[shard] = ShardRow(shard=shard, owner=None, incarnation=None, epoch=0)
    assert await history.broken() == {"I8"}


async def test_a_stale_state_row(history: History) -> None:
    row = order_row(history, "delivered")
    history.journal("orders").views[row.id] = msgspec.structs.replace(row, version=row.version - 1)
    assert await history.broken() == {"I9"}


async def test_a_stale_stock_row(history: History) -> None:
    row = history.journal("inventory").views["A"]
    assert isinstance(row, StockRow)
    history.journal("inventory").views["A"] = msgspec.structs.replace(row, version=row.version - 2)
    assert "I9" in await history.broken()


@pytest.mark.parametrize("change", [{"status": "cancelled"}, {"total_minor": 1}, {"seqs": (1,)}, {"state": b"{}"}])
async def test_a_state_row_that_is_not_the_fold(history: History, change: dict[str, object]) -> None:
    row = order_row(history, "kept")
    history.journal("orders").views[row.id] = msgspec.structs.replace(row, **change)
    assert await history.broken() == {"I9"}


async def test_a_row_without_events_and_events_without_a_row(history: History) -> None:
    views = history.journal("orders").views
    row = order_row(history, "kept")
    del views[row.id]
    views["ord_x"] = msgspec.structs.replace(row, id="ord_x")
    report = await history.audit()
    assert {(breach.invariant, breach.subject) for breach in report.breaches} == {
        ("I9", f"order {row.id}"),
        ("I9", "order ord_x"),
    }


async def test_a_row_that_is_ahead_of_its_journal(history: History) -> None:
    row = order_row(history, "kept")
    history.journal("orders").views[row.id] = msgspec.structs.replace(row, version=row.version + 1)
    assert await history.broken() == {"I9"}


def snapshot(history: History) -> SnapshotRow:
    return next(row for row in history.journal("inventory").snapshots.values() if row.entity_id == "A")


async def test_a_snapshot_that_is_not_the_fold(history: History) -> None:
    row = snapshot(history)
    fields = msgspec.json.decode(row.state)
    state = msgspec.json.encode({**fields, "sold": fields["sold"] - 1, "on_hand": fields["on_hand"] + 1})
    history.journal("inventory").snapshots[row.shard, "sku", "A"] = msgspec.structs.replace(row, state=state)
    assert await history.broken() == {"I9"}


async def test_a_snapshot_of_events_that_were_never_written(history: History) -> None:
    row = snapshot(history)
    ahead = msgspec.structs.replace(row, version=row.version + 1, seq=row.seq + 1)
    history.journal("inventory").snapshots[row.shard, "sku", "A"] = ahead
    assert await history.broken() == {"I9"}


async def test_low_water_past_events_that_are_in_no_snapshot(history: History) -> None:
    row = snapshot(history)
    head = history.journal("inventory").heads[row.shard]
    history.journal("inventory").heads[row.shard] = msgspec.structs.replace(head, low_water=head.seq + 1)
    assert await history.broken() == set()
    del history.journal("inventory").snapshots[row.shard, "sku", "A"]
    assert await history.broken() == {"I9"}


async def test_an_illegal_transition(history: History) -> None:
    shipped = order.OrderShipped(carrier="", tracking_number="", at_ms=history.last_ms(), mark=MARK)
    history.append("orders", history.of("declined"), shipped)
    assert "I13" in await history.broken()


async def test_expired_with_a_payment_open(history: History) -> None:
    history.append("orders", history.of("unpaid"), attempted(history))
    history.append("orders", history.of("unpaid"), order.OrderExpired(at_ms=2**45))
    assert "I13" in await history.broken()


async def test_expired_before_its_time(history: History) -> None:
    history.append("orders", history.of("unpaid"), order.OrderExpired(at_ms=0))
    assert "I13" in await history.broken()


def attempted(history: History) -> order.PaymentAttempted:
    method = order.PaymentMethod(type="card", token="tok_ok")
    return order.PaymentAttempted(attempt=order.Attempt(n=1, method=method, mark=MARK), at_ms=history.last_ms())


async def test_a_saga_that_stands_still(history: History) -> None:
    history.append("orders", history.of("unpaid"), attempted(history))
    assert await history.broken() == {"I11"}


async def test_a_saga_that_no_new_owner_would_find(history: History) -> None:
    history.append("orders", history.of("unpaid"), attempted(history))
    row = order_row(history, "unpaid")
    head = history.journal("orders").heads[row.shard]
    history.journal("orders").heads[row.shard] = msgspec.structs.replace(head, low_water=head.seq + 1)
    details = [breach.detail for breach in (await history.audit(after_ms=0)).breaches]
    assert any("would not find it" in detail for detail in details)


async def test_a_payment_that_stays_unknown_is_told_but_no_breach(history: History) -> None:
    history.append("orders", history.of("unpaid"), attempted(history))
    ask_at_ms = history.last_ms() + 5_000
    delayed = order.PaymentDelayed(n=1, asked=1, ask_at_ms=ask_at_ms, at_ms=history.last_ms())
    history.append("orders", history.of("unpaid"), delayed)
    key = next(key for key in history.journal("orders").timers if key[2] == history.of("unpaid"))
    timer = history.journal("orders").timers[key]
    history.journal("orders").timers[key] = msgspec.structs.replace(timer, due_at_ms=ask_at_ms)
    report = await history.audit(after_ms=800_000)
    assert report.breaches == ()
    assert report.unknown_orders == (history.of("unpaid"),)
    del history.journal("orders").timers[key]
    assert await history.broken() == {"I11"}


async def test_an_unpaid_order_past_its_time(history: History) -> None:
    report = await history.audit(after_ms=order.UNPAID_TTL_MS + 60_000)
    assert ("I11", f"order {history.of('unpaid')}") in {(b.invariant, b.subject) for b in report.breaches}


async def test_an_order_that_cannot_be_read_any_more(history: History) -> None:
    confirmed = history.find("order.confirmed", history.of("kept"))
    history.swap(confirmed, msgspec.structs.replace(confirmed, type="order.unheard_of"))
    assert "I9" in await history.broken()


async def test_every_mutant_refolds_like_the_platform_does(history: History) -> None:
    history.refold(ORDER, "orders", history.of("kept"))
    assert await history.broken() == set()
