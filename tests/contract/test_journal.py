"""What every journal promises: fencing in the statement that writes, and batches written whole or not at all."""

import asyncio
import random

import pytest

from persistence.errors import AlreadyExists, WriteRefused
from persistence.ports import Journal
from persistence.records import Head, ReturnRow
from persistence.stores import Stores
from tests.contract.builders import answer, batch, event, order, payment, stock, timer


@pytest.fixture
def orders(stores: Stores) -> Journal:
    return stores.journals["orders"]


async def test_fence_makes_a_head_at_seq_0(orders: Journal) -> None:
    assert await orders.fence(7, 3) == Head(shard=7, epoch=3, seq=0, low_water=0)
    assert await orders.heads() == [Head(shard=7, epoch=3, seq=0, low_water=0)]


async def test_fence_refuses_an_epoch_that_is_not_higher(orders: Journal) -> None:
    await orders.fence(7, 3)
    assert await orders.fence(7, 3) is None
    assert await orders.fence(7, 2) is None
    assert await orders.fence(7, 4) == Head(shard=7, epoch=4, seq=0, low_water=0)


async def test_fence_answers_with_the_end_of_the_journal(orders: Journal) -> None:
    await orders.fence(1, 1)
    await orders.append([batch(events=3, low_water=2)])
    assert await orders.fence(1, 2) == Head(shard=1, epoch=2, seq=3, low_water=2)


async def test_append_needs_a_fenced_shard(orders: Journal) -> None:
    assert await orders.append([batch(epoch=0)]) == frozenset()
    assert await orders.read(1, 0, 10) == []


async def test_appended_events_come_back_byte_for_byte(orders: Journal) -> None:
    await orders.fence(1, 1)
    body = '{"name":"Žluťoučký \\u0000", "n": 1e400}'.encode()
    written = event("ord_9", 4, body=body)
    assert await orders.append([batch(events=[written])]) == {(1, 1)}
    (read,) = await orders.read(1, 0, 10)
    assert (read.shard, read.seq, read.body) == (1, 1, body)
    assert all(getattr(read, name) == getattr(written, name) for name in written.__struct_fields__)


async def test_the_same_append_twice_writes_once(orders: Journal) -> None:
    await orders.fence(1, 1)
    assert await orders.append([batch(events=2)]) == {(1, 1)}
    assert await orders.append([batch(events=2)]) == frozenset()
    assert [e.seq for e in await orders.read(1, 0, 10)] == [1, 2]


async def test_an_append_out_of_turn_writes_nothing(orders: Journal) -> None:
    await orders.fence(1, 1)
    assert await orders.append([batch(seq=1)]) == frozenset()
    assert await orders.append([batch(seq=0)]) == {(1, 1)}
    assert await orders.append([batch(seq=1)]) == {(1, 1)}
    assert [e.version for e in await orders.read(1, 0, 10)] == [1, 2]


async def test_appends_in_any_order_leave_no_gap_and_no_duplicate(orders: Journal) -> None:
    shuffled = random.Random(7)
    calls = [batch(shard, seq=seq, events=1) for shard in (1, 2, 3) for seq in range(4)]
    for shard in (1, 2, 3):
        await orders.fence(shard, 1)
    done: set[tuple[int, int]] = set()
    while len(done) < len(calls):
        shuffled.shuffle(calls)
        for call in calls:
            if await orders.append([call]):
                assert (call.shard, call.expected_seq) not in done
                done.add((call.shard, call.expected_seq))
    for shard in (1, 2, 3):
        assert [(e.seq, e.version) for e in await orders.read(shard, 0, 10)] == [(1, 1), (2, 2), (3, 3), (4, 4)]


async def test_a_fenced_append_writes_no_row_of_any_table(stores: Stores) -> None:
    orders = stores.journals["orders"]
    await orders.fence(1, 1)
    await orders.append([batch(views=[order(status="cancelled")])])
    await orders.fence(1, 2)
    zombie = batch(
        epoch=1,
        seq=1,
        low_water=1,
        views=[order(version=2, status="confirmed"), order("ord_2")],
        timers=[timer("ord_1", 50)],
        idempotency=[answer()],
    )
    assert await orders.append([zombie]) == frozenset()
    assert await orders.heads() == [Head(shard=1, epoch=2, seq=1, low_water=0)]
    assert len(await orders.read(1, 0, 10)) == 1
    rows = await stores.orders.load(["ord_1", "ord_2"])
    assert {row.id: row.status for row in rows.values()} == {"ord_1": "cancelled"}
    assert await orders.timers(1) == []
    assert await orders.answer("usr_1", "POST /x", "key-1") is None


async def test_a_fenced_append_returns_no_stock(stores: Stores) -> None:
    inventory = stores.journals["inventory"]
    await inventory.fence(1, 2)
    back = ReturnRow(order_id="ord_1", sku="LAPTOP-001")
    assert await inventory.append([batch(epoch=1, views=[stock()], returns=[back])]) == frozenset()
    assert not await stores.stock.returned("ord_1", "LAPTOP-001")
    assert await stores.stock.load(["LAPTOP-001"]) == {}


async def test_of_two_shards_only_the_one_that_is_not_fenced_is_written(stores: Stores) -> None:
    orders = stores.journals["orders"]
    for shard in (1, 2):
        await orders.fence(shard, 1)
    await orders.fence(1, 2)
    written = await orders.append([batch(1, views=[order("ord_1")]), batch(2, views=[order("ord_2", shard=2)])])
    assert written == {(2, 1)}
    assert await orders.read(1, 0, 10) == []
    assert len(await orders.read(2, 0, 10)) == 1
    assert set(await stores.orders.load(["ord_1", "ord_2"])) == {"ord_2"}


async def test_a_batch_without_events_moves_timers_and_the_low_water_mark(orders: Journal) -> None:
    await orders.fence(1, 1)
    await orders.append([batch(events=2)])
    moved = batch(seq=2, events=0, low_water=3, timers=[timer("ord_1", 9)], idempotency=[answer()])
    assert await orders.append([moved]) == {(1, 1)}
    assert await orders.heads() == [Head(shard=1, epoch=1, seq=2, low_water=3)]
    assert await orders.timers(1) == [timer("ord_1", 9)]
    assert await orders.answer("usr_1", "POST /x", "key-1") == answer()
    assert await orders.append([batch(seq=1, events=0)]) == frozenset()


async def test_a_call_without_batches_writes_nothing(orders: Journal) -> None:
    assert await orders.append([]) == frozenset()


async def test_a_low_water_mark_never_passes_the_end(orders: Journal) -> None:
    await orders.fence(1, 1)
    with pytest.raises(WriteRefused):
        await orders.append([batch(events=1, low_water=3)])
    assert await orders.heads() == [Head(shard=1, epoch=1, seq=0, low_water=0)]


async def test_an_older_view_never_replaces_a_newer_one(stores: Stores) -> None:
    orders = stores.journals["orders"]
    await orders.fence(1, 1)
    await orders.append([batch(views=[order(version=3, status="confirmed")])])
    await orders.append([batch(seq=1, views=[order(version=2, status="pending")])])
    assert (await stores.orders.load(["ord_1"]))["ord_1"] == order(version=3, status="confirmed")


async def test_of_several_versions_in_a_batch_the_last_one_stands(stores: Stores) -> None:
    orders = stores.journals["orders"]
    await orders.fence(1, 1)
    await orders.append([batch(views=[order(version=2, status="confirmed"), order(version=1)])])
    assert (await stores.orders.load(["ord_1"]))["ord_1"].status == "confirmed"


async def test_timers_are_set_moved_and_dropped(orders: Journal) -> None:
    await orders.fence(1, 1)
    await orders.append([batch(timers=[timer("a", 5), timer("b", 6), timer("a", 4), timer("c", None)])])
    assert await orders.timers(1) == [timer("a", 4), timer("b", 6)]
    await orders.append([batch(seq=1, timers=[timer("a", None), timer("b", 9)])])
    assert await orders.timers(1) == [timer("b", 9)]
    assert await orders.timers(2) == []


async def test_a_second_answer_under_one_key_is_refused_with_its_whole_call(orders: Journal) -> None:
    for shard in (1, 2):
        await orders.fence(shard, 1)
    await orders.append([batch(1, idempotency=[answer()])])
    with pytest.raises(AlreadyExists):
        await orders.append([batch(1, seq=1, idempotency=[answer(status=409)]), batch(2)])
    assert await orders.read(2, 0, 10) == []
    assert await orders.answer("usr_1", "POST /x", "key-1") == answer()
    assert await orders.answer("usr_1", "POST /y", "key-1") is None


async def test_two_answers_under_one_key_in_one_call_are_refused(orders: Journal) -> None:
    await orders.fence(1, 1)
    with pytest.raises(AlreadyExists):
        await orders.append([batch(idempotency=[answer(), answer(status=201)])])
    assert await orders.read(1, 0, 10) == []


async def test_stock_comes_back_once(stores: Stores) -> None:
    inventory = stores.journals["inventory"]
    await inventory.fence(1, 1)
    back = ReturnRow(order_id="ord_1", sku="LAPTOP-001")
    await inventory.append([batch(returns=[back])])
    assert await stores.stock.returned("ord_1", "LAPTOP-001")
    with pytest.raises(AlreadyExists):
        await inventory.append([batch(seq=1, returns=[back])])


async def test_an_order_has_one_captured_payment(stores: Stores) -> None:
    payments = stores.journals["payments"]
    await payments.fence(1, 1)
    await payments.append([batch(views=[payment("pay_1", captured_minor=500), payment("pay_2")])])
    with pytest.raises(AlreadyExists):
        await payments.append([batch(seq=1, views=[payment("pay_2", 2, captured_minor=500)])])
    await payments.append([batch(seq=1, views=[payment("pay_1", 2, captured_minor=500, refunded_minor=500)])])
    row = await stores.payments.by_id("pay_1")
    assert row is not None
    assert row.refunded_minor == 500


async def test_two_captures_of_an_order_in_one_call_are_refused(stores: Stores) -> None:
    payments = stores.journals["payments"]
    await payments.fence(1, 1)
    both = [payment("pay_1", captured_minor=500), payment("pay_2", captured_minor=500)]
    with pytest.raises(AlreadyExists):
        await payments.append([batch(views=both)])
    assert await payments.read(1, 0, 10) == []


@pytest.mark.parametrize(
    ("service", "row"),
    [
        ("inventory", stock(on_hand=1, reserved=2)),
        ("inventory", stock(on_hand=-1)),
        ("inventory", stock(reserved=-1)),
        ("inventory", stock(sold=-1)),
        ("payments", payment(captured_minor=500, refunded_minor=501)),
        ("payments", payment(captured_minor=400)),
        ("payments", payment(refunded_minor=-1)),
        ("orders", order(total_minor=-1)),
        ("orders", order(version=0)),
    ],
)
async def test_a_row_that_breaks_an_invariant_is_refused_with_its_whole_call(
    stores: Stores, service: str, row: object
) -> None:
    journal = stores.journals[service]  # type: ignore[index]
    for shard in (1, 2):
        await journal.fence(shard, 1)
    with pytest.raises(WriteRefused):
        await journal.append([batch(1, views=[row]), batch(2)])  # type: ignore[list-item]
    assert [head.seq for head in await journal.heads()] == [0, 0]


async def test_an_event_without_a_version_is_refused(orders: Journal) -> None:
    await orders.fence(1, 1)
    with pytest.raises(WriteRefused):
        await orders.append([batch(events=[event(version=0)])])


async def test_a_call_that_no_correct_writer_makes_is_a_bug(stores: Stores) -> None:
    orders = stores.journals["orders"]
    for wrong in (
        [batch(1), batch(1, seq=1)],
        [batch(1, views=[stock()])],
        [batch(1, views=[order(shard=2)])],
        [batch(1, returns=[ReturnRow(order_id="o", sku="s")])],
    ):
        with pytest.raises(ValueError, match=r"append|journal holds|in a batch"):
            await orders.append(wrong)


async def test_reading_goes_on_behind_a_seq(orders: Journal) -> None:
    await orders.fence(1, 1)
    await orders.append([batch(events=5)])
    assert [e.seq for e in await orders.read(1, 0, 2)] == [1, 2]
    assert [e.seq for e in await orders.read(1, 2, 10)] == [3, 4, 5]
    assert [e.seq for e in await orders.read_at(1, [4, 1, 9, 4])] == [1, 4]


async def test_services_do_not_see_each_others_rows(stores: Stores) -> None:
    await stores.journals["orders"].fence(1, 5)
    await stores.journals["orders"].append([batch(epoch=5, timers=[timer("a", 1)], idempotency=[answer()])])
    inventory = stores.journals["inventory"]
    assert await inventory.heads() == []
    assert await inventory.timers(1) == []
    assert await inventory.answer("usr_1", "POST /x", "key-1") is None


async def test_of_concurrent_appends_on_one_seq_one_wins(orders: Journal) -> None:
    await orders.fence(1, 1)
    answers = await asyncio.gather(*(orders.append([batch(events=[event(f"ord_{n}")])]) for n in range(8)))
    assert sorted(map(len, answers)) == [0] * 7 + [1]
    assert len(await orders.read(1, 0, 10)) == 1


async def test_of_concurrent_fences_with_one_epoch_one_wins(orders: Journal) -> None:
    answers = await asyncio.gather(*(orders.fence(1, 4) for _ in range(8)))
    assert sum(head is not None for head in answers) == 1
