"""The catalog over HTTP."""

from typing import Any

import msgspec
import pytest

from persistence.records import NewEvent, ShardBatch, StockRow
from tests.http_app import World

LAPTOP: dict[str, Any] = {
    "id": "prod-laptop-001",
    "name": "Premium Ultrabook Pro 15",
    "brand": "Northpeak",
    "currency": "USD",
    "categories": ["computers"],
    "attributes": {"weightKg": 1.46, "backlit": True, "ports": ["HDMI"]},
    "images": ["https://cdn.example/laptop.png"],
    "variants": [
        {"sku": "LAPTOP-001", "options": {"memory": "16 GB"}, "price": 1299.99},
        {"sku": "LAPTOP-002", "options": {"memory": "32 GB"}, "price": 1600},
    ],
}


async def create(world: World, **changes: Any) -> dict[str, Any]:
    answer = await world.client.post("/api/v1/products", json={**LAPTOP, **changes}, headers=await world.admin())
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


@pytest.fixture(autouse=True)
async def computers(world: World) -> None:
    answer = await world.client.post("/api/v1/categories", json={"name": "Computers"}, headers=await world.admin())
    assert (answer.status_code, answer.json()["id"]) == (201, "computers")


async def stock(world: World, sku: str, on_hand: int, reserved: int = 0) -> None:
    journal = world.stores.journals["inventory"]
    head = await journal.fence(0, 1)
    seq = head.seq if head else 0
    event = NewEvent(
        entity_type="sku", entity_id=sku, version=1, type="t", schema_version=1, body=b"{}", command_id="c",
        correlation_id="c", causation_id="", traceparent="", at_ms=1,
    )  # fmt: skip
    view = StockRow(sku=sku, version=1, on_hand=on_hand, reserved=reserved, sold=0)
    batch = ShardBatch(shard=0, epoch=1, expected_seq=seq, low_water=0, events=(event,), views=(view,))
    assert await journal.append([batch]) == {(0, 1)}


async def test_a_product_is_made_and_read(world: World) -> None:
    made = await create(world)
    answer = await world.client.get("/api/v1/products/prod-laptop-001")
    assert answer.status_code == 200
    assert answer.json() == made
    assert answer.headers["etag"] == '"1"'
    assert made["price"] == 1299.99
    assert made["attributes"] == LAPTOP["attributes"]
    assert [variant["available"] for variant in made["variants"]] == [0, 0]


async def test_amounts_are_written_with_two_decimals(world: World) -> None:
    await create(world)
    text = (await world.client.get("/api/v1/products/prod-laptop-001")).text
    assert '"price":1299.99,' in text
    assert '"price":1600.00,' in text


async def test_amounts_are_read_exactly(world: World) -> None:
    body = b'{"name":"Cheap","variants":[{"sku":"S-1","price":0.29},{"sku":"S-2","price":4.35}]}'
    headers = {**await world.admin(), "Content-Type": "application/json"}
    answer = await world.client.post("/api/v1/products", content=body, headers=headers)
    assert answer.status_code == 201, answer.text
    product = await world.stores.catalog.product(answer.json()["id"])
    assert product is not None
    assert [variant.price_minor for variant in product.variants] == [29, 435]


async def test_an_id_is_made_from_the_name(world: World) -> None:
    first = await create(world, id=None, name="Über Mouse!", variants=[{"sku": "M-1", "price": 5}])
    second = await create(world, id=None, name="Über Mouse!", variants=[{"sku": "M-2", "price": 5}])
    assert first["id"] == "prod-uber-mouse"
    assert second["id"].startswith("prod-uber-mouse-")


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"variants": []}, "/variants"),
        ({"variants": [{"sku": "A", "price": -1}]}, "/variants/0/price"),
        ({"variants": [{"sku": "A", "price": 1.999}]}, "/variants/0/price"),
        ({"variants": [{"sku": "A", "price": "5"}]}, "/variants/0/price"),
        ({"variants": [{"sku": "A", "price": True}]}, "/variants/0/price"),
        ({"variants": [{"sku": "A", "price": 1e14}]}, "/variants/0/price"),
        ({"variants": [{"sku": "A b", "price": 1}]}, "/variants/0/sku"),
        ({"variants": [{"sku": "A", "price": 1}, {"sku": "A", "price": 1}]}, "/variants"),
        ({"variants": [{"sku": "A"}]}, ""),
        ({"price": 5}, ""),
        ({"categories": ["nowhere"]}, "/categories/0"),
        ({"currency": "EUR"}, "/currency"),
        ({"attributes": {"$where": "1"}}, "/attributes/$where/[key]"),
        ({"attributes": {"a": {"$ne": None}}}, None),
        ({"images": ["javascript:alert(1)"]}, "/images/0"),
        ({"version": 7}, "/version"),
        ({"id": "../etc"}, "/id"),
    ],
)
async def test_bad_products_name_the_field(world: World, changes: dict[str, Any], pointer: str | None) -> None:
    answer = await world.client.post("/api/v1/products", json={**LAPTOP, **changes}, headers=await world.admin())
    assert answer.status_code == 422, answer.text
    if pointer is not None:
        assert answer.json()["errors"][0]["pointer"] == pointer


async def test_an_id_or_a_sku_is_taken_once(world: World) -> None:
    await create(world)
    for changes in ({"variants": [{"sku": "OTHER", "price": 1}]}, {"id": "prod-other"}):
        answer = await world.client.post("/api/v1/products", json={**LAPTOP, **changes}, headers=await world.admin())
        assert (answer.status_code, answer.json()["code"]) == (409, "already-exists")


async def test_a_new_price_is_a_new_price_version(world: World) -> None:
    await create(world)
    before = await world.stores.catalog.prices(["LAPTOP-001", "LAPTOP-002"])
    world.clock.advance(5)
    variants = [{"sku": "LAPTOP-001", "price": 999}, {"sku": "LAPTOP-002", "price": 1600}]
    answer = await world.client.put(
        "/api/v1/products/prod-laptop-001",
        json={**LAPTOP, "variants": variants},
        headers={**await world.admin(), "If-Match": '"1"'},
    )
    assert answer.status_code == 200, answer.text
    assert (answer.json()["version"], answer.headers["etag"]) == (2, '"2"')
    after = await world.stores.catalog.prices(["LAPTOP-001", "LAPTOP-002"])
    assert after["LAPTOP-001"].version > before["LAPTOP-001"].version
    assert after["LAPTOP-001"].price_minor == 99_900
    assert after["LAPTOP-002"].version == before["LAPTOP-002"].version
    events = [row.event for row in await world.stores.outboxes["catalog"].take(10)]
    assert [(event.type, event.version) for event in events] == [("product.created", 1), ("product.price_changed", 2)]
    assert msgspec.json.decode(events[1].body)["changes"] == [{"sku": "LAPTOP-001", "was": 1299.99, "now": 999}]


async def test_a_stale_if_match_is_412(world: World) -> None:
    await create(world)
    for tag in ('"7"', 'W/"1"', "nonsense"):
        headers = {**await world.admin(), "If-Match": tag}
        put = await world.client.put("/api/v1/products/prod-laptop-001", json=LAPTOP, headers=headers)
        assert (put.status_code, put.json()["code"]) == (412, "version-mismatch")
        delete = await world.client.delete("/api/v1/products/prod-laptop-001", headers=headers)
        assert delete.status_code == 412
    headers = {**await world.admin(), "If-Match": '"9", "1"'}
    assert (await world.client.delete("/api/v1/products/prod-laptop-001", headers=headers)).status_code == 204


async def test_a_deleted_product_is_gone_and_its_sku_can_be_sold_again(world: World) -> None:
    await create(world)
    admin = await world.admin()
    assert (await world.client.delete("/api/v1/products/prod-laptop-001", headers=admin)).status_code == 204
    assert (await world.client.get("/api/v1/products/prod-laptop-001")).status_code == 404
    assert (await world.client.delete("/api/v1/products/prod-laptop-001", headers=admin)).status_code == 404
    again = await world.client.post("/api/v1/products", json=LAPTOP, headers=admin)
    assert again.status_code == 409
    await create(world, id="prod-laptop-new")


@pytest.mark.parametrize("product_id", ["nope", "a%00b", "a%20b", "$ne", "x" * 500, "..%2f"])
async def test_an_unknown_or_ill_formed_id_is_404(world: World, product_id: str) -> None:
    answer = await world.client.get(f"/api/v1/products/{product_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_lists_filter_sort_and_page(world: World) -> None:
    for number, price in enumerate(["30", "10.50", "20"], 1):
        await create(world, id=f"p{number}", name=f"P{number}", categories=["computers"] if number < 3 else [],
                     variants=[{"sku": f"S{number}", "price": float(price)}])  # fmt: skip

    async def names(query: str) -> list[str]:
        answer = await world.client.get(f"/api/v1/products?{query}")
        assert answer.status_code == 200, answer.text
        return [product["name"] for product in answer.json()["data"]]

    assert await names("sort=price") == ["P2", "P3", "P1"]
    assert await names("sort=-price") == ["P1", "P3", "P2"]
    assert await names("category=computers") == ["P1", "P2"]
    assert await names("category=nothing") == []
    assert await names("minPrice=10.51&maxPrice=20.00") == ["P3"]
    first = (await world.client.get("/api/v1/products?limit=2")).json()
    assert first["meta"]["total"] == 3
    assert await names(f"limit=2&cursor={first['meta']['nextCursor']}") == ["P3"]
    foreign = await world.client.get(f"/api/v1/products?sort=price&cursor={first['meta']['nextCursor']}")
    assert (foreign.status_code, foreign.json()["errors"][0]["parameter"]) == (422, "cursor")


async def test_stock_shows_within_a_second(world: World) -> None:
    await create(world)
    assert (await world.client.get("/api/v1/products?inStock=true")).json()["data"] == []
    await stock(world, "LAPTOP-002", 5, reserved=2)
    world.clock.advance(1_001)
    listed = (await world.client.get("/api/v1/products?inStock=true")).json()["data"]
    assert [variant["available"] for variant in listed[0]["variants"]] == [0, 3]


async def test_categories_count_their_products(world: World) -> None:
    await create(world)
    answer = await world.client.get("/api/v1/categories")
    assert answer.json()["data"] == [{"id": "computers", "name": "Computers", "productCount": 1}]


async def test_a_category_is_renamed_and_removed(world: World) -> None:
    admin = await world.admin()
    renamed = await world.client.put("/api/v1/categories/computers", json={"name": "Machines"}, headers=admin)
    assert (renamed.status_code, renamed.json()["name"], renamed.headers["etag"]) == (200, "Machines", '"2"')
    stale = {**admin, "If-Match": '"1"'}
    assert (await world.client.delete("/api/v1/categories/computers", headers=stale)).status_code == 412
    assert (await world.client.delete("/api/v1/categories/computers", headers=admin)).status_code == 204
    assert (await world.client.delete("/api/v1/categories/computers", headers=admin)).status_code == 404


async def test_a_category_exists_once(world: World) -> None:
    answer = await world.client.post("/api/v1/categories", json={"name": "Computers"}, headers=await world.admin())
    assert (answer.status_code, answer.json()["code"]) == (409, "already-exists")
