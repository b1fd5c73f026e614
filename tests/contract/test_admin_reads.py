"""What administrators' pages read: lists with filters, and totals."""

import msgspec
import pytest

from persistence.records import OrderFilter, OrderRow, PaymentTotals, StatusTotals, StockTotals, UserTotals
from persistence.stores import Stores
from tests.contract.builders import batch, event, order, payment, product, stock, user, variant

ANY = OrderFilter()


def told(row: OrderRow, email: str) -> OrderRow:
    return msgspec.structs.replace(row, state=msgspec.json.encode({"id": row.id, "email": email}))


ROWS = [
    told(order("ord_a", created_at_ms=1000, total_minor=500), "Ada@Example.com"),
    told(order("ord_b", created_at_ms=3000, status="confirmed", total_minor=2_000), "bob@example.com"),
    told(order("ord_c", created_at_ms=2000, user_id="guest", total_minor=700), "ada@example.com"),
    told(order("ord_d", created_at_ms=2000, status="confirmed", total_minor=900), "bob@example.com"),
    told(order("ord_Z", created_at_ms=2000, total_minor=10**12), "' OR 1=1 --"),
    told(order("ord_e", created_at_ms=9000, user_id="usr_2", total_minor=0), "eve@example.com"),
]
NEWEST_FIRST = ["ord_e", "ord_b", "ord_d", "ord_c", "ord_Z", "ord_a"]


async def write_orders(stores: Stores) -> None:
    await stores.journals["orders"].fence(1, 1)
    await stores.journals["orders"].append([batch(views=ROWS)])


async def find_all(stores: Stores, wanted: OrderFilter, limit: int = 100, scan_max: int = 1_000) -> list[str]:
    ids: list[str] = []
    cursor: str | None = None
    while True:
        rows, cursor = await stores.orders.find(wanted, limit=limit, cursor=cursor, scan_max=scan_max)
        assert len(rows) <= limit
        ids += [row.id for row in rows]
        if cursor is None:
            return ids


@pytest.mark.parametrize("limit", [1, 2, 100])
@pytest.mark.parametrize("scan_max", [1, 2, 5, 6, 7])
async def test_every_order_is_found_once_however_little_is_looked_at(stores: Stores, limit: int, scan_max: int) -> None:
    await write_orders(stores)
    assert await find_all(stores, ANY, limit, scan_max) == NEWEST_FIRST
    assert await find_all(stores, OrderFilter(status="confirmed"), limit, scan_max) == ["ord_b", "ord_d"]
    assert await find_all(stores, OrderFilter(user_id="usr_1"), limit, scan_max) == ["ord_b", "ord_d", "ord_Z", "ord_a"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (OrderFilter(status="shipped"), []),
        (OrderFilter(user_id="usr_2"), ["ord_e"]),
        (OrderFilter(user_id="usr_1", status="pending"), ["ord_Z", "ord_a"]),
        (OrderFilter(email_key="ada@example.com"), ["ord_c", "ord_a"]),
        (OrderFilter(email_key="' or 1=1 --"), ["ord_Z"]),
        (OrderFilter(email_key="%"), []),
        (OrderFilter(from_ms=2000), ["ord_e", "ord_b", "ord_d", "ord_c", "ord_Z"]),
        (OrderFilter(to_ms=2000), ["ord_a"]),
        (OrderFilter(from_ms=2000, to_ms=3000), ["ord_d", "ord_c", "ord_Z"]),
        (OrderFilter(from_ms=2000, to_ms=3000, user_id="usr_1"), ["ord_d", "ord_Z"]),
        (OrderFilter(from_ms=3000, to_ms=2000), []),
        (OrderFilter(min_total_minor=700, max_total_minor=900), ["ord_d", "ord_c"]),
        (OrderFilter(max_total_minor=0), ["ord_e"]),
        (OrderFilter(min_total_minor=10**12), ["ord_Z"]),
    ],
)
async def test_a_filter(stores: Stores, wanted: OrderFilter, found: list[str]) -> None:
    await write_orders(stores)
    assert await find_all(stores, wanted) == found
    assert await find_all(stores, wanted, limit=1, scan_max=2) == found


async def test_a_found_order_is_whole(stores: Stores) -> None:
    await write_orders(stores)
    assert await stores.orders.find(OrderFilter(user_id="usr_2"), limit=1, cursor=None, scan_max=9) == ([ROWS[5]], None)


@pytest.mark.parametrize("cursor", ["", "x", "é", "bnVsbA"])
async def test_a_foreign_cursor_is_refused(stores: Stores, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        await stores.orders.find(ANY, limit=5, cursor=cursor, scan_max=9)


async def test_a_cursor_of_another_list_of_orders_is_refused(stores: Stores) -> None:
    await write_orders(stores)
    _, cursor, _ = await stores.orders.list(user_id=None, status=None, limit=1, cursor=None)
    with pytest.raises(ValueError, match="cursor"):
        await stores.orders.find(ANY, limit=5, cursor=cursor, scan_max=9)


async def test_totals_of_orders_by_status(stores: Stores) -> None:
    await write_orders(stores)
    totals = sorted(await stores.orders.totals(1000, 3000), key=lambda row: row.status)
    assert totals == [
        StatusTotals(status="confirmed", orders=1, total_minor=900),
        StatusTotals(status="pending", orders=3, total_minor=500 + 700 + 10**12),
    ]
    assert list(await stores.orders.totals(3001, 9000)) == []


async def test_totals_of_payments(stores: Stores) -> None:
    payments = stores.journals["payments"]
    await payments.fence(1, 1)
    rows = [
        payment("pay_1", captured_minor=500, refunded_minor=200),
        payment("pay_2", order_id="ord_2"),
        payment("pay_3", order_id="ord_3", captured_minor=10**12, amount_minor=10**12),
    ]
    await payments.append([batch(views=rows)])
    assert await stores.payments.totals(1000, 1001) == PaymentTotals(
        payments=3, captured_minor=500 + 10**12, refunded_minor=200
    )
    assert await stores.payments.totals(0, 1000) == PaymentTotals(payments=0, captured_minor=0, refunded_minor=0)


async def test_stock_levels_page_by_page(stores: Stores) -> None:
    inventory = stores.journals["inventory"]
    await inventory.fence(1, 1)
    rows = [
        stock("A-1", on_hand=3, reserved=2, sold=7),
        stock("A_1", on_hand=0),
        stock("B.2", on_hand=9, sold=9),
        stock("a-1", on_hand=5, reserved=5, sold=9),
    ]
    await inventory.append([batch(views=rows)])

    async def skus(prefix: str = "", behind: str = "", available_max: int | None = None, limit: int = 9) -> list[str]:
        found = await stores.stock.levels(prefix=prefix, behind=behind, available_max=available_max, limit=limit)
        return [row.sku for row in found]

    assert await stores.stock.levels(prefix="", behind="", available_max=None, limit=9) == rows
    assert await skus(limit=2) == ["A-1", "A_1"]
    assert await skus(behind="A_1") == ["B.2", "a-1"]
    assert await skus(prefix="A") == ["A-1", "A_1"]
    assert await skus(prefix="A_") == ["A_1"]
    assert await skus(available_max=1) == ["A-1", "A_1", "a-1"]
    assert await skus(available_max=0, behind="A_1") == ["a-1"]
    assert [row.sku for row in await stores.stock.best_sold(2)] == ["B.2", "a-1"]
    assert [row.sku for row in await stores.stock.best_sold(9)] == ["B.2", "a-1", "A-1"]
    assert await stores.stock.totals(1) == StockTotals(skus=4, low=3, out=2)


async def test_totals_of_no_stock(stores: Stores) -> None:
    assert await stores.stock.totals(5) == StockTotals(skus=0, low=0, out=0)


async def test_skus_on_sale(stores: Stores) -> None:
    laptop = product("prod-1", name="Ultrabook 100% Pro", variants=[variant("B"), variant("a")])
    mouse = product("prod-2", name="Mouse_Ö", variants=[variant("C")])
    gone = product("prod-3", variants=[variant("D")])
    for each in (laptop, mouse, gone):
        await stores.catalog.save_product(each, 0, [])
    await stores.catalog.delete_product("prod-3", 1, [event("prod-3", 2, entity_type="product")])

    async def skus(text: str = "", behind: str = "", limit: int = 9) -> list[str]:
        return [row.sku for row in await stores.catalog.skus(text=text, behind=behind, limit=limit)]

    assert await skus() == ["B", "C", "a"]
    assert await skus(behind="B") == ["C", "a"]
    assert await skus(limit=1) == ["B"]
    assert await skus("ULTRA") == ["B", "a"]
    assert await skus("100%") == ["B", "a"]
    assert await skus("%") == ["B", "a"]
    assert await skus("e_") == ["C"]
    assert await skus("C") == ["C"]
    first = (await stores.catalog.skus(text="", behind="", limit=1))[0]
    assert (first.product_id, first.name) == ("prod-1", "Ultrabook 100% Pro")


async def test_totals_of_users(stores: Stores) -> None:
    assert await stores.users.totals(0) == UserTotals(customers=0, new=0)
    people = [user(), user("usr_2", "b@example.com"), user("usr_3", "c@example.com")]
    made = [
        msgspec.structs.replace(person, created_at_ms=at_ms) for person, at_ms in zip(people, (1, 5, 9), strict=True)
    ]
    made[2] = msgspec.structs.replace(made[2], role="admin")
    for person in made:
        await stores.users.add(person, event(person.id, entity_type="user"))
    assert await stores.users.totals(5) == UserTotals(customers=2, new=1)
