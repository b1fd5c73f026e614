"""What administrators see: figures, everybody's orders, stock, the cluster."""

from typing import Any

import pytest

from actors.domain.order import Status
from cluster.host_reports import Report, Scrape
from persistence.errors import StoreUnavailable
from persistence.records import HostRow
from tests.contract.builders import batch, stock
from tests.http_app import World
from tests.shop_world import CARD, PRICE, Shop, eventually

ADMIN_PAGES = ["stats", "orders", "inventory", "cluster"]


async def get(shop: Shop, page: str, answered: int = 200, **query: Any) -> Any:
    answer = await shop.client.get(f"/api/v1/admin/{page}", params=query, headers=shop.admin)
    assert answer.status_code == answered, answer.text
    return answer.json()


@pytest.mark.parametrize("page", ADMIN_PAGES)
async def test_only_administrators_see_it(shop: Shop, page: str) -> None:
    path = f"/api/v1/admin/{page}"
    assert (await shop.client.get(path)).status_code == 401
    customer = await shop.account()
    for headers in (customer.headers, shop.service):
        assert (await shop.client.get(path, headers=headers)).json()["code"] == "forbidden"
    assert (await shop.client.get(path, headers=shop.admin)).status_code == 200


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("stats", {"days": 0}),
        ("stats", {"days": 32}),
        ("orders", {"status": "paid"}),
        ("orders", {"from": "yesterday"}),
        ("orders", {"from": "2026-02-30"}),
        ("orders", {"to": "1800000000000"}),
        ("orders", {"to": "2026-01-31T12:00:00+02:00"}),
        ("orders", {"minTotal": "-1"}),
        ("orders", {"minTotal": "1e3"}),
        ("orders", {"email": "nobody"}),
        ("orders", {"userId": "a b"}),
        ("orders", {"cursor": "abc"}),
        ("orders", {"nosuch": "1"}),
        ("inventory", {"threshold": "-1"}),
        ("inventory", {"cursor": "abc"}),
        ("inventory", {"q": ""}),
        ("inventory", {"q": "x" * 101}),
        ("cluster", {"limit": "1"}),
    ],
)
async def test_what_cannot_be_asked_is_422(shop: Shop, page: str, query: dict[str, str]) -> None:
    problem = await get(shop, page, 422, **query)
    assert problem["errors"][0]["parameter"] == next(iter(query))


async def test_figures_of_a_shop_that_sells(shop: Shop) -> None:
    account = await shop.account()
    bought = [await shop.buy(account), await shop.buy(account, 2)]
    await shop.place(account.id, account.headers, items=[{"sku": "LAPTOP-001", "quantity": 1}])
    declined = {**CARD, "token": "tok_declined"}
    await shop.place(
        "guest-1", items=[{"sku": "LAPTOP-001", "quantity": 1}], paymentMethod=declined, email="eve@example.com"
    )
    cancelled = await shop.client.post(f"/api/v1/orders/{bought[0]['id']}/cancel", headers=account.headers)
    assert cancelled.status_code == 200

    async def sold() -> bool:
        return bool(await shop.stores.stock.best_sold(1))

    await eventually(sold)
    stats = await get(shop, "stats", days=2)
    today = stats["today"]
    assert today["orders"] == 4
    counts: dict[Status, int] = {"confirmed": 1, "cancelled": 1, "pending": 1, "payment_failed": 1}
    assert {status: n for status, n in today["byStatus"].items() if n} == counts
    assert set(today["byStatus"]) >= {"shipped", "delivered", "expired", "refunded"}
    assert (today["revenue"], today["captured"], today["refunded"]) == (2599.98, 3899.97, PRICE)
    assert today["averageOrderValue"] == 2 * PRICE
    assert stats["ordersPerMinute"] == 4
    assert [day["orders"] for day in stats["days"]] == [0, 4]
    assert stats["days"][0]["averageOrderValue"] is None
    assert stats["topProducts"][0]["productId"] == "prod-laptop-001"
    assert stats["topProducts"][0]["name"] == "Premium Ultrabook Pro 15"
    assert stats["stock"] == {"skus": 2, "low": 1, "out": 0, "lowStockMax": 5}
    assert stats["customers"]["total"] == 2  # the demo customer, and Ada
    assert stats["currency"] == "USD"


async def test_amounts_in_figures_have_two_decimals(shop: Shop) -> None:
    answer = await shop.client.get("/api/v1/admin/stats", headers=shop.admin)
    assert '"revenue":0.00' in answer.text


async def test_everybody_s_orders_with_filters(shop: Shop) -> None:
    ada, bob = await shop.account(), await shop.account("Bob@Example.com")
    first = await shop.buy(ada)
    second = await shop.buy(bob, 2)
    guest = (await shop.place("guest-1", items=[{"sku": "LAPTOP-001", "quantity": 1}], email="Eve@Example.com")).json()

    async def ids(**query: Any) -> list[str]:
        return [row["id"] for row in (await get(shop, "orders", **query))["data"]]

    assert await ids() == [guest["id"], second["id"], first["id"]]
    assert await ids(status="pending") == [guest["id"]]
    assert await ids(userId=ada.id) == [first["id"]]
    assert await ids(userId="guest-1") == [guest["id"]]
    assert await ids(email="bob@EXAMPLE.com") == [second["id"]]
    assert await ids(email="eve@example.com") == [guest["id"]]
    assert await ids(email="bob@example.com", userId=ada.id) == []
    assert await ids(email="nobody@example.com") == []
    assert await ids(minTotal=2 * PRICE) == [second["id"]]
    assert await ids(maxTotal=PRICE) == [guest["id"], first["id"]]
    assert await ids(to="2026-01-01") == []
    assert await ids(**{"from": second["createdAt"]}) == [guest["id"], second["id"]]
    shown = (await get(shop, "orders", userId="guest-1"))["data"][0]
    assert shown["email"].lower() == "eve@example.com"
    assert {**guest, "email": shown["email"], "updatedAt": shown["updatedAt"], "version": shown["version"]} == shown


async def test_orders_page_by_page(shop: Shop) -> None:
    ada = await shop.account()
    made = [(await shop.buy(ada))["id"] for _ in range(3)]
    seen, cursor = [], {}
    for _ in range(3):
        page = await get(shop, "orders", limit=1, **cursor)
        seen += [row["id"] for row in page["data"]]
        cursor = {"cursor": page["meta"]["nextCursor"]}
    assert seen == list(reversed(made))


async def test_stock_of_every_sku(shop: Shop) -> None:
    page = await get(shop, "inventory")
    assert [(line["sku"], line["onHand"], line["version"] > 0) for line in page["data"]] == [
        ("LAPTOP-001", 10, True),
        ("LAPTOP-001-32", 5, True),
        ("LAPTOP-001-64", 0, False),
    ]
    assert page["data"][0] == {
        "sku": "LAPTOP-001",
        "productId": "prod-laptop-001",
        "name": "Premium Ultrabook Pro 15",
        "onHand": 10,
        "reserved": 0,
        "available": 10,
        "sold": 0,
        "version": page["data"][0]["version"],
    }
    assert page["meta"]["nextCursor"] is None


@pytest.mark.parametrize(
    ("query", "skus"),
    [
        ({"lowStock": True}, ["LAPTOP-001-32", "LAPTOP-001-64"]),
        ({"lowStock": True, "threshold": 4}, ["LAPTOP-001-64"]),
        ({"lowStock": True, "threshold": 10}, ["LAPTOP-001", "LAPTOP-001-32", "LAPTOP-001-64"]),
        ({"threshold": 0}, ["LAPTOP-001", "LAPTOP-001-32", "LAPTOP-001-64"]),
        ({"q": "LAPTOP-001-"}, ["LAPTOP-001-32", "LAPTOP-001-64"]),
        ({"q": "ultraBOOK", "lowStock": True}, ["LAPTOP-001-32", "LAPTOP-001-64"]),
        ({"q": "%"}, []),
        ({"q": "' OR 1=1 --"}, []),
    ],
)
async def test_stock_with_filters(shop: Shop, query: dict[str, Any], skus: list[str]) -> None:
    for limit in (1, 2, 100):
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = await get(shop, "inventory", limit=limit, **query, **cursor)
            assert len(page["data"]) <= limit
            seen += [line["sku"] for line in page["data"]]
            if page["meta"]["nextCursor"] is None:
                break
            cursor = {"cursor": page["meta"]["nextCursor"]}
        assert seen == skus


async def test_stock_of_what_is_no_longer_on_sale_is_shown(shop: Shop) -> None:
    gone = await shop.client.delete("/api/v1/products/prod-laptop-001", headers=shop.admin)
    assert gone.status_code == 204
    lines = (await get(shop, "inventory"))["data"]
    assert [(line["sku"], line["productId"], line["name"]) for line in lines] == [
        ("LAPTOP-001", None, ""),
        ("LAPTOP-001-32", None, ""),
    ]


async def test_many_skus_are_all_listed_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve.admin_reads._SKUS_AT_ONCE", 3)
    inventory = world.stores.journals["inventory"]
    await inventory.fence(1, 1)
    skus = [f"S-{n:02}" for n in range(20)]
    await inventory.append([batch(views=[stock(sku, on_hand=int(sku[2:])) for sku in skus])])
    headers = await world.admin()
    for query, wanted in (({}, skus), ({"lowStock": "true", "threshold": "7"}, skus[:8])):
        seen: list[str] = []
        cursor: dict[str, str] = {}
        for _ in range(40):
            answer = await world.client.get(
                "/api/v1/admin/inventory", params={"limit": "4", **query, **cursor}, headers=headers
            )
            seen += [line["sku"] for line in answer.json()["data"]]
            cursor = {"cursor": answer.json()["meta"]["nextCursor"]}
            if cursor["cursor"] is None:
                break
        assert seen == wanted


class SomeReports:
    """One host that answers, one that does not, and a consumer."""

    async def describe(self) -> list[Report]:
        return [
            Report(process="h1", said={"host": "h1", "shards": [1], "mailboxes": {"depth": 3}}),
            Report(process="h2", said=None),
            Report(process="consumers", said={"notifier": {"lag": 0}}),
        ]

    async def metrics(self) -> list[Scrape]:
        return []


async def test_the_cluster(world: World) -> None:
    object.__setattr__(world.app.state.services, "hosts", SomeReports())
    ownership = world.stores.ownership
    await ownership.prepare(4)
    for name, weight in (("h1", 1.0), ("h2", 0.0)):
        row = HostRow(
            host=name,
            incarnation="1",
            node="node-a",
            actor_name=name,
            weight=weight,
            renewed_at_ms=world.clock.now_ms(),
            expires_at_ms=0,
        )
        await ownership.join(row, 6_000)
    for shard in range(3):
        await ownership.claim(shard, "h1" if shard else "h2", "1")
    headers = await world.admin()
    seen = (await world.client.get("/api/v1/admin/cluster", headers=headers)).json()
    assert seen["ready"] is False
    assert seen["nodes"] == [{"node": "node-a", "hosts": 2, "alive": 2, "shards": 3}]
    first, second = seen["hosts"]
    assert (first["host"], first["alive"], first["shards"], first["answered"]) == ("h1", True, 2, True)
    assert first["report"] == {"mailboxes": {"depth": 3}}
    assert (second["host"], second["weight"], second["answered"], second["report"]) == ("h2", 0.0, False, None)
    assert [process["process"] for process in seen["processes"]] == ["consumers"]
    assert [(shard["shard"], shard["owner"], shard["served"]) for shard in seen["shards"]] == [
        (0, "h2", True),
        (1, "h1", True),
        (2, "h1", True),
        (3, None, False),
    ]
    world.clock.advance(7_000)
    later = (await world.client.get("/api/v1/admin/cluster", headers=headers)).json()
    assert later["nodes"][0]["alive"] == 0
    assert not any(shard["served"] for shard in later["shards"])


@pytest.mark.parametrize("page", ADMIN_PAGES)
async def test_a_store_that_is_down_is_503(world: World, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(*_: object, **__: object) -> None:
        raise StoreUnavailable("postgresql://user:secret@host")

    for method in ("views.MemoryOrders.totals", "views.MemoryOrders.find", "views.MemoryStock.levels"):
        monkeypatch.setattr(f"persistence.memory.{method}", down)
    monkeypatch.setattr("persistence.memory.ownership.MemoryOwnership.hosts", down)
    answer = await world.client.get(f"/api/v1/admin/{page}", headers=await world.admin())
    assert (answer.status_code, answer.json()["code"]) == (503, "store-unavailable")
    assert "secret" not in answer.text
