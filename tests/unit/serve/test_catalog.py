"""Products over HTTP: making, changing, deleting them."""

from typing import Any

import msgspec
import pytest

from tests.catalog_http import LAPTOP, create
from tests.http_app import World


@pytest.fixture(autouse=True)
async def computers(world: World) -> None:
    answer = await world.client.post("/api/v1/categories", json={"name": "Computers"}, headers=await world.admin())
    assert (answer.status_code, answer.json()["id"]) == (201, "computers")


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


async def test_an_id_from_a_name_is_never_one_that_was_given_before(world: World) -> None:
    first = await create(world, id=None, name="Mouse", variants=[{"sku": "M-1", "price": 5}])
    admin = await world.admin()
    assert (await world.client.delete(f"/api/v1/products/{first['id']}", headers=admin)).status_code == 204
    again = await create(world, id=None, name="Mouse", variants=[{"sku": "M-1", "price": 5}])
    assert again["id"].startswith("prod-mouse-")
    # The SKU is what is in the way here, and no other id would help.
    body = {**LAPTOP, "id": None, "name": "Mouse"} | {"variants": [{"sku": "M-1", "price": 5}]}
    answer = await world.client.post("/api/v1/products", json=body, headers=admin)
    assert (answer.status_code, answer.json()["skus"]) == (409, ["M-1"])
    assert again["id"] in answer.json()["detail"]


async def test_an_id_from_the_longest_name_is_an_id(world: World) -> None:
    made = [await create(world, id=None, name="x" * 200, variants=[{"sku": f"M-{n}", "price": 5}]) for n in range(2)]
    assert [len(product["id"]) for product in made] == [55, 64]
    nothing = await create(world, id=None, name="電子", variants=[{"sku": "M-9", "price": 5}])
    assert len(nothing["id"]) == len("prod-") + 8


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
    events = [row.event for row in await world.stores.outboxes["catalog"].read(10)]
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


async def test_a_product_keeps_its_id_and_its_age(world: World) -> None:
    await create(world)
    admin = await world.admin()
    world.clock.advance(1_000)
    moved = await world.client.put("/api/v1/products/prod-laptop-001", json={**LAPTOP, "id": "other"}, headers=admin)
    assert (moved.status_code, moved.json()["errors"][0]["pointer"]) == (422, "/id")
    without = {name: value for name, value in LAPTOP.items() if name != "id"}
    put = await world.client.put("/api/v1/products/prod-laptop-001", json=without, headers=admin)
    assert (put.status_code, put.json()["id"], put.json()["version"]) == (200, "prod-laptop-001", 2)
    stored = await world.stores.catalog.product("prod-laptop-001")
    assert stored is not None
    assert stored.updated_at_ms - stored.created_at_ms == 1_000


async def test_variants_come_and_go(world: World) -> None:
    await create(world)
    variants = [{"sku": "LAPTOP-002", "price": 1600}, {"sku": "LAPTOP-003", "price": 2000}]
    answer = await world.client.put(
        "/api/v1/products/prod-laptop-001", json={**LAPTOP, "variants": variants}, headers=await world.admin()
    )
    assert [variant["sku"] for variant in answer.json()["variants"]] == ["LAPTOP-002", "LAPTOP-003"]
    assert set(await world.stores.catalog.prices(["LAPTOP-001", "LAPTOP-002", "LAPTOP-003"])) == {
        "LAPTOP-002", "LAPTOP-003"
    }  # fmt: skip
    # The one that went can be another product's, at a price version above all that it had.
    await create(world, id="prod-other", variants=[{"sku": "LAPTOP-001", "price": 1}])
    assert (await world.stores.catalog.prices(["LAPTOP-001"]))["LAPTOP-001"].price_minor == 100


async def test_a_sku_comes_back_under_a_clock_that_went_back(world: World) -> None:
    await create(world)
    admin = await world.admin()
    assert (await world.client.delete("/api/v1/products/prod-laptop-001", headers=admin)).status_code == 204
    before = world.clock.at_ms
    world.clock.advance(-30_000)
    await create(world, id="prod-again", variants=[{"sku": "LAPTOP-001", "price": 1}])
    assert (await world.stores.catalog.prices(["LAPTOP-001"]))["LAPTOP-001"].version > before


async def test_of_two_edits_at_one_version_the_second_is_412(world: World) -> None:
    await create(world)
    headers = {**await world.admin(), "If-Match": '"1"'}
    path = "/api/v1/products/prod-laptop-001"
    first = await world.client.put(path, json={**LAPTOP, "name": "First"}, headers=headers)
    second = await world.client.put(path, json={**LAPTOP, "name": "Second"}, headers=headers)
    assert (first.status_code, second.status_code, second.headers["etag"]) == (200, 412, '"2"')
    assert (await world.client.get(path)).json()["name"] == "First"


async def test_every_event_tells_the_whole_product(world: World) -> None:
    await create(world)
    admin = await world.admin()
    path = "/api/v1/products/prod-laptop-001"
    await world.client.put(path, json={**LAPTOP, "name": "New"}, headers={**admin, "X-Request-Id": "req-7"})
    world.clock.advance(5)
    await world.client.put(path, json={**LAPTOP, "variants": [{"sku": "LAPTOP-001", "price": 9}]}, headers=admin)
    await world.client.delete(path, headers=admin)
    events = [row.event for row in await world.stores.outboxes["catalog"].read(10)]
    assert [(event.type, event.version) for event in events] == [
        ("product.created", 1), ("product.updated", 2), ("product.price_changed", 3), ("product.deleted", 4)
    ]  # fmt: skip
    for event in events:
        told = msgspec.json.decode(event.body)
        assert (told["id"], told["version"], told["currency"]) == ("prod-laptop-001", event.version, "USD")
        assert told["attributes"] == LAPTOP["attributes"]
        assert {"name", "brand", "categories", "images", "price", "createdAtMs"} <= told.keys()
        assert all({"sku", "options", "price", "priceVersion"} == variant.keys() for variant in told["variants"])
    assert events[1].correlation_id == "req-7"
    assert msgspec.json.decode(events[3].body)["variants"][0]["price"] == 9


async def test_a_refused_change_has_no_event(world: World) -> None:
    await create(world)
    admin = await world.admin()
    await create(world, id="prod-other", variants=[{"sku": "OTHER", "price": 1}])
    stolen = {**LAPTOP, "variants": [{"sku": "OTHER", "price": 1}]}
    answer = await world.client.put("/api/v1/products/prod-laptop-001", json=stolen, headers=admin)
    assert (answer.status_code, answer.json()["skus"]) == (409, ["OTHER"])
    assert len(await world.stores.outboxes["catalog"].read(10)) == 2
    assert (await world.client.get("/api/v1/products/prod-laptop-001")).json()["version"] == 1
