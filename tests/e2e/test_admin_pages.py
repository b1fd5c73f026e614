"""What administrators see of a real platform: its figures, its hosts, its stores."""

from typing import Any

import pytest

from persistence.settings import SCHEMAS
from tests.live_platform import LivePlatform
from tests.live_shop import PRICE, LiveShop, expect, new_cart

pytestmark = [pytest.mark.ray, pytest.mark.postgres]


async def admin_page(shop: LiveShop, page: str, **query: str) -> Any:
    return expect(await shop.client.get(f"/admin/{page}", params=query, headers=shop.admin), 200)


async def test_an_order_is_in_the_figures_within_seconds(shop: LiveShop) -> None:
    sku, cart = await shop.new_sku(5), new_cart()
    order = expect(await shop.order({sku: 2}, cart_id=cart), 201)
    found = await admin_page(shop, "orders", userId=cart)
    assert [each["id"] for each in found["data"]] == [order["id"]]
    newest = await admin_page(shop, "orders", limit="100", status="confirmed")
    assert order["id"] in [each["id"] for each in newest["data"]]
    stats = await admin_page(shop, "stats", days="2")
    assert stats["today"]["orders"] >= 1
    assert stats["today"]["revenue"] >= 2 * PRICE
    assert stats["days"][-1]["orders"] == stats["today"]["orders"]
    assert stats["days"][0]["orders"] is not None
    (line,) = (await admin_page(shop, "inventory", q=sku))["data"]
    assert (line["sku"], line["available"]) == (sku, 3)
    low = (await admin_page(shop, "inventory", q=sku, lowStock="true", threshold="2"))["data"]
    assert low == []


async def test_every_host_and_consumer_tells_of_itself(shop: LiveShop) -> None:
    cluster = await admin_page(shop, "cluster")
    assert cluster["ready"]
    assert all(shard["served"] for shard in cluster["shards"])
    assert sum(host["shards"] for host in cluster["hosts"]) == len(cluster["shards"]) > 0
    for host in cluster["hosts"]:
        assert host["alive"]
        assert host["answered"], host
        assert host["report"]["committers"]["orders"]["statements"] >= 0
    assert {process["process"] for process in cluster["processes"]} >= {"consumers"}


async def test_health_names_every_schema_s_store(shop: LiveShop, platform: LivePlatform) -> None:
    checks = expect(await shop.client.get(f"{platform.url}/health"), 200)["checks"]
    assert {f"postgresql.{schema}" for schema in SCHEMAS} <= checks.keys()
    assert {check["status"] for check in checks.values()} == {"healthy"}
