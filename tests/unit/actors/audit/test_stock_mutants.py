"""One thing broken at a time in the stock: I1, I2, I3, I6, I7."""

import msgspec

from actors.audit.facts import LIVE
from actors.domain import inventory
from actors.domain.inventory import CHECK_EVERY_MS, HOLD_TTL_MS
from persistence.records import StockRow
from tests.unit.actors.audit.healthy import History


def hold_of(history: History, key: str, sku: str = "A", quantity: int = 1) -> inventory.Hold:
    now_ms = history.last_ms()
    order_id = history.of(key)
    return inventory.Hold(
        id=f"{order_id}:{sku}",
        order_id=order_id,
        quantity=quantity,
        attempt_ms=now_ms,
        reserved_at_ms=now_ms,
        expires_at_ms=now_ms + HOLD_TTL_MS,
    )


async def test_guard_removed_more_is_reserved_than_there_is(history: History) -> None:
    hold = hold_of(history, "nobody's", quantity=99)
    history.append("inventory", "A", inventory.StockReserved(hold=hold), row=False)
    assert "I3" in await history.broken()


async def test_guard_removed_more_is_taken_away_than_is_free(history: History) -> None:
    lost = msgspec.structs.replace(history.decoded(history.find("stock.adjusted", "A")), delta=-10)
    history.append("inventory", "A", lost, row=False)
    assert "I3" in await history.broken()


async def test_dedup_off_one_reservation_is_sold_twice(history: History) -> None:
    again = history.decoded(history.find("stock.committed", "A"))
    history.append("inventory", "A", again, row=False)
    assert {"I1", "I2"} <= await history.broken()


async def test_dedup_off_an_order_reserves_and_is_sold_once_more(history: History) -> None:
    history.drop_snapshots()
    sold = history.decoded(history.find("stock.committed", "A"))
    hold = msgspec.structs.replace(hold_of(history, "kept"), id=sold.reservation_id, order_id=sold.order_id)
    history.append("inventory", "A", inventory.StockReserved(hold=hold))
    history.append("inventory", "A", sold)
    assert await history.broken() == {"I1"}


async def test_stock_returned_twice(history: History) -> None:
    history.append("inventory", "A", history.decoded(history.find("stock.returned", "A")))
    assert await history.broken() == {"I1"}


async def test_stock_of_a_living_order_returned(history: History) -> None:
    back = inventory.StockReturned(order_id=history.of("kept"), quantity=1, at_ms=0)
    history.append("inventory", "A", back)
    history.journal("inventory").returns.add((history.of("kept"), "A"))
    assert await history.broken() == {"I1"}


async def test_a_return_without_its_row(history: History) -> None:
    history.journal("inventory").returns.pop()
    assert await history.broken() == {"I1"}


async def test_a_row_of_a_return_that_never_was(history: History) -> None:
    history.journal("inventory").returns.add((history.of("kept"), "A"))
    assert await history.broken() == {"I1"}


async def test_units_of_a_cancelled_order_never_came_back(history: History) -> None:
    history.drop_snapshots()
    returned = history.find("stock.returned", "A")
    # In its place: units that came from nowhere, so that all numbers stay the same.
    found = history.decoded(history.find("stock.adjusted", "A"))
    name, schema_version, body = ("stock.adjusted", 1, msgspec.json.encode(msgspec.structs.replace(found, delta=1)))
    history.swap(returned, msgspec.structs.replace(returned, type=name, schema_version=schema_version, body=body))
    history.journal("inventory").returns.discard((history.of("cancelled"), "A"))
    assert "I1" in await history.broken()


async def test_sold_to_an_order_that_was_never_confirmed(history: History) -> None:
    unpaid = next(
        history.decoded(event).hold
        for event in history.events("inventory")
        if event.type == "stock.reserved" and history.decoded(event).hold.order_id == history.of("unpaid")
    )
    sold = inventory.StockCommitted(
        reservation_id=unpaid.id, order_id=unpaid.order_id, quantity=1, attempt_ms=unpaid.attempt_ms, at_ms=0
    )
    history.append("inventory", "A", sold)
    assert await history.broken() == {"I1"}


async def test_a_paid_order_without_its_reservation(history: History) -> None:
    history.drop_snapshots()
    sold = next(
        event
        for event in history.events("inventory")
        if event.type == "stock.committed" and history.decoded(event).order_id == history.of("delivered")
    )
    fields = history.decoded(sold)
    released = inventory.StockReleased(
        reservation_id=fields.reservation_id, order_id=fields.order_id, quantity=1, attempt_ms=0, at_ms=fields.at_ms
    )
    history.swap(sold, msgspec.structs.replace(sold, type="stock.released", body=msgspec.json.encode(released)))
    assert "I6" in await history.broken()


async def test_release_skipped_for_a_declined_order(history: History) -> None:
    created = history.decoded(history.find("order.created", history.of("declined")))
    held = msgspec.structs.replace(hold_of(history, "declined"), attempt_ms=created.attempt_ms)
    history.append("inventory", "A", inventory.StockReserved(hold=held))
    assert await history.broken() == {"I7"}


async def test_commit_skipped_for_a_confirmed_order(history: History) -> None:
    created = history.decoded(history.find("order.created", history.of("kept")))
    held = msgspec.structs.replace(hold_of(history, "kept"), attempt_ms=created.attempt_ms)
    history.append("inventory", "A", inventory.StockReserved(hold=held))
    assert await history.broken(grace=LIVE) == set()
    assert await history.broken(grace=LIVE, after_ms=LIVE.settle_ms + 30_000) == {"I7"}


async def test_release_skipped_for_an_order_that_never_came(history: History) -> None:
    history.append("inventory", "A", inventory.StockReserved(hold=hold_of(history, "never")))
    assert await history.broken() == set()
    past = HOLD_TTL_MS + CHECK_EVERY_MS + 60_000
    found = {breach.subject for breach in (await history.audit(after_ms=past)).breaches if breach.invariant == "I7"}
    assert f"reservation {history.of('never')}:A" in found


async def test_a_reservation_through_the_api_outlives_its_time(history: History) -> None:
    report = await history.audit(after_ms=HOLD_TTL_MS + 60_000)
    assert any(breach.subject.startswith("reservation ext:") for breach in report.breaches)


async def test_the_read_model_forgets_what_was_sold(history: History) -> None:
    views = history.journal("inventory").views
    row = views["A"]
    assert isinstance(row, StockRow)
    views["A"] = msgspec.structs.replace(row, sold=row.sold - 1)
    assert await history.broken() == {"I1", "I9"}
    views["A"] = msgspec.structs.replace(row, reserved=row.reserved + 1)
    assert await history.broken() == {"I2", "I9"}
