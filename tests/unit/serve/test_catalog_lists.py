"""Product lists and categories over HTTP."""

import pytest

from tests.catalog_http import LAPTOP, create, stock
from tests.http_app import World


@pytest.fixture(autouse=True)
async def computers(world: World) -> None:
    answer = await world.client.post("/api/v1/categories", json={"name": "Computers"}, headers=await world.admin())
    assert (answer.status_code, answer.json()["id"]) == (201, "computers")


@pytest.mark.parametrize("product_id", ["nope", "a%00b", "a%20b", "$ne", "x" * 500, "..%2f"])
async def test_an_unknown_or_ill_formed_id_is_404(world: World, product_id: str) -> None:
    answer = await world.client.get(f"/api/v1/products/{product_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_pages_stay_right_while_products_come_and_go(world: World) -> None:
    for number in range(6):
        await create(world, id=f"p{number}", name=f"P{number}", variants=[{"sku": f"S{number}", "price": 1}])
    seen: list[str] = []
    query = "limit=2"
    for step in range(3):
        page = (await world.client.get(f"/api/v1/products?{query}")).json()
        seen += [product["id"] for product in page["data"]]
        await create(world, id=f"n{step}", name=f"A{step}", variants=[{"sku": f"N{step}", "price": 1}])
        query = f"limit=2&cursor={page['meta']['nextCursor']}"
    assert seen == ["p0", "p1", "p2", "p3", "p4", "p5"]


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


async def test_products_outlive_their_category(world: World) -> None:
    await create(world)
    admin = await world.admin()
    assert (await world.client.delete("/api/v1/categories/computers", headers=admin)).status_code == 204
    path = "/api/v1/products/prod-laptop-001"
    assert (await world.client.get(path)).json()["categories"] == ["computers"]
    # It may be edited as it is; but no other product can be put there.
    assert (await world.client.put(path, json={**LAPTOP, "name": "x"}, headers=admin)).status_code == 200
    other = {**LAPTOP, "id": "prod-other", "variants": [{"sku": "OTHER", "price": 1}]}
    assert (await world.client.post("/api/v1/products", json=other, headers=admin)).status_code == 422
    again = await world.client.post("/api/v1/categories", json={"name": "Computers"}, headers=admin)
    assert again.json()["productCount"] == 1
