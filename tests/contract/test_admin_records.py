"""Records of what administrators and services did."""

import asyncio

import pytest

from persistence.records import AdminRecord
from persistence.stores import Stores


def record(number: int, actor: str = "usr_1") -> AdminRecord:
    return AdminRecord(
        at_ms=1_700_000_000_000 + number,
        actor=actor,
        role="admin",
        method="POST",
        route="/api/v1/orders/{order_id}/ship",
        path=f"/api/v1/orders/ord_{number}/ship",
        status=409,
        request_id=f"request-{number}",
        address="2001:db8::1",
    )


async def fill(stores: Stores, count: int, actor: str = "usr_1") -> None:
    for number in range(count):
        await stores.admin_records.add(record(number, actor))


def numbers(rows: list[AdminRecord]) -> list[int]:
    return [row.at_ms - 1_700_000_000_000 for row in rows]


async def test_a_record_comes_back_whole_with_an_id(stores: Stores) -> None:
    await stores.admin_records.add(record(1))
    (row,), cursor = await stores.admin_records.list(actor=None, limit=10, cursor=None)
    assert cursor is None
    assert row.id > 0
    assert {**{name: getattr(row, name) for name in row.__struct_fields__}, "id": 0} == {
        name: getattr(record(1), name) for name in row.__struct_fields__
    }


async def test_pages_run_from_the_newest_to_the_oldest(stores: Stores) -> None:
    await fill(stores, 5)
    seen: list[int] = []
    cursor = None
    for size in (2, 2, 1):
        rows, cursor = await stores.admin_records.list(actor=None, limit=2, cursor=cursor)
        assert len(rows) == size
        seen += numbers(rows)
    assert (seen, cursor) == ([4, 3, 2, 1, 0], None)


async def test_a_page_keeps_its_place_while_records_are_added(stores: Stores) -> None:
    await fill(stores, 3)
    _, cursor = await stores.admin_records.list(actor=None, limit=2, cursor=None)
    await stores.admin_records.add(record(9))
    rows, _ = await stores.admin_records.list(actor=None, limit=2, cursor=cursor)
    assert numbers(rows) == [0]


async def test_one_actors_records(stores: Stores) -> None:
    await fill(stores, 2)
    await fill(stores, 2, "svc_warehouse")
    rows, cursor = await stores.admin_records.list(actor="svc_warehouse", limit=1, cursor=None)
    more, end = await stores.admin_records.list(actor="svc_warehouse", limit=1, cursor=cursor)
    assert {row.actor for row in (*rows, *more)} == {"svc_warehouse"}
    assert end is None
    assert await stores.admin_records.list(actor="usr_2", limit=5, cursor=None) == ([], None)


async def test_records_added_at_once_are_all_kept(stores: Stores) -> None:
    await asyncio.gather(*(stores.admin_records.add(record(number)) for number in range(20)))
    rows, _ = await stores.admin_records.list(actor=None, limit=50, cursor=None)
    assert sorted(numbers(rows)) == list(range(20))
    assert len({row.id for row in rows}) == 20


@pytest.mark.parametrize("cursor", ["x", "bm90", "WyJ1c2VycyIsMSwiIl0"])
async def test_a_foreign_cursor_is_refused(stores: Stores, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        await stores.admin_records.list(actor=None, limit=5, cursor=cursor)
