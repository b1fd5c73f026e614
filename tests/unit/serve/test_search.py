"""Search over HTTP: bodies, facets, filters, paging, completions, and what is refused."""

from typing import Any

import httpx
import pytest

from persistence.errors import StoreUnavailable
from persistence.memory.seams import Seams
from persistence.records import ProductQuery
from persistence.stores import open_memory_stores
from tests.catalog_http import stock
from tests.contract.sample_products import sample_products
from tests.http_app import FakeClock, World, open_world


@pytest.fixture(autouse=True)
async def sample(world: World) -> None:
    await world.stores.search.index(sample_products())


async def ask(world: World, query: str = "", *, status: int = 200, path: str = "search") -> Any:
    answer = await world.client.get(f"/api/v1/{path}?{query}")
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_keyboards_are_found_in_spite_of_a_typing_error(world: World) -> None:
    body = await ask(world, "q=keybord")
    assert [each["id"] for each in body["data"][:2]] == ["prod-keyboard-001", "prod-keyboard-002"]
    assert body["total"] == body["meta"]["total"] == len(body["data"]) == 4
    assert body["meta"]["nextCursor"] is None
    assert body["facets"]["category"][0] == {"value": "electronics", "count": 4}
    assert {"value": "Clackworks", "count": 1} in body["facets"]["brand"]
    assert body["facets"]["price"] == [
        {"from": 50, "to": 100, "count": 1},
        {"from": 100, "to": 250, "count": 1},
        {"from": 500, "to": 1000, "count": 1},
        {"from": 1000, "to": 2500, "count": 1},
    ]


async def test_hits_are_whole_products_with_live_stock(world: World) -> None:
    await stock(world, "MOUSE-001-WHITE", 5, reserved=2)
    (mouse,) = (await ask(world, "q=precision"))["data"]
    assert (mouse["name"], mouse["price"], mouse["currency"], mouse["version"]) == (
        "Precision Mouse M3",
        49.99,
        "USD",
        1,
    )
    assert {each["sku"]: each["available"] for each in mouse["variants"]} == {
        "MOUSE-001-BLACK": 0,
        "MOUSE-001-WHITE": 3,
    }
    assert mouse["attributes"]["sensorDpi"] == 26000
    assert [each["id"] for each in (await ask(world, "q=mouse&inStock=true"))["data"]] == ["prod-mouse-001"]
    assert (await ask(world, "q=mouse&inStock=false"))["total"] == 2


async def test_amounts_are_exact_text(world: World) -> None:
    text = (await world.client.get("/api/v1/search?q=bookshelf")).text
    assert '"from":250.00,"to":500.00' in text
    assert '"price":299.00' in text
    dear = await world.client.get("/api/v1/search?q=fury&minPrice=1899")
    assert '"from":1000.00,"to":2500.00' in dear.text


async def test_without_a_query_everything_is_found_by_name(world: World) -> None:
    body = await ask(world)
    names = [each["name"] for each in body["data"]]
    assert names == sorted(names, key=str.casefold)
    assert body["total"] == 12
    assert [each["value"] for each in body["facets"]["category"]] == [
        *("electronics", "peripherals", "gaming", "computers", "audio")
    ]


async def test_filters_narrow_and_their_own_facet_stays(world: World) -> None:
    body = await ask(world, "category=audio&brand=Sonavale&minPrice=249&maxPrice=299.00")
    assert {each["id"] for each in body["data"]} == {"prod-headphones-001", "prod-speaker-001"}
    assert body["facets"]["brand"] == [{"value": "Sonavale", "count": 2}]
    one = await ask(world, "q=gaming&brand=Clackworks")
    assert {each["value"]: each["count"] for each in one["facets"]["brand"]} == {"Clackworks": 2, "Emberforge": 3}
    assert one["total"] == 2


async def test_pages_follow_each_other(world: World) -> None:
    for query in ("q=electronics", "q=electronics&sort=price", "", "sort=newest"):
        ids: list[str] = []
        cursor = ""
        while True:
            body = await ask(world, f"{query}&limit=5{cursor}".lstrip("&"))
            ids += [each["id"] for each in body["data"]]
            assert body["total"] == 12
            if body["meta"]["nextCursor"] is None:
                break
            cursor = f"&cursor={body['meta']['nextCursor']}"
        assert len(ids) == len(set(ids)) == 12


async def test_a_cursor_behind_a_long_name_of_any_script_is_taken_back(world: World) -> None:
    admin = await world.admin()
    for sku in ("L-1", "L-2"):
        body = {"name": "ΐ" * 200, "variants": [{"sku": sku, "price": 1}]}
        assert (await world.client.post("/api/v1/products", json=body, headers=admin)).status_code == 201
    page, _, _ = await world.stores.catalog.products(ProductQuery())
    await world.stores.search.index(page)
    for path in ("products", "search"):
        first = await ask(world, "maxPrice=1&limit=1&sort=name", path=path)
        second = await ask(world, f"maxPrice=1&limit=1&sort=name&cursor={first['meta']['nextCursor']}", path=path)
        assert first["data"][0]["id"] != second["data"][0]["id"]


@pytest.mark.parametrize(
    "query",
    [
        "q=" + "a" * 201, "q=%00", "q=a%0Ab", "q=a&q=b", "category=UPPER", "category=", "category=%00", "brand=",
        "brand=" + "b" * 101, "brand=%00", "minPrice=-1", "minPrice=abc", "minPrice=1e3", "minPrice=1.999", "maxPrice=NaN",
        "inStock=perhaps", "sort=rank", "sort=", "limit=0", "limit=101", "limit=x", "cursor=nonsense", "cursor=",
        "cursor=%00", "unknown=1", "q[$ne]=1", "category[$gt]=", "facets=1",
    ],
)  # fmt: skip
async def test_what_is_ill_formed_is_422(world: World, query: str) -> None:
    body = await ask(world, query, status=422)
    assert body["code"] == "invalid-fields"


async def test_a_cursor_of_another_query_is_refused(world: World) -> None:
    cursor = (await ask(world, "q=gaming&limit=1"))["meta"]["nextCursor"]
    assert (await ask(world, f"q=gaming&limit=1&cursor={cursor}"))["data"]
    for query in (f"q=keyboard&cursor={cursor}", f"q=gaming&sort=name&cursor={cursor}", f"cursor={cursor}"):
        body = await ask(world, query, status=422)
        assert body["errors"][0]["parameter"] == "cursor"


async def test_completions(world: World) -> None:
    assert (await ask(world, "q=keyb", path="search/suggest"))["data"] == [
        *("Mechanical Keyboard K87", "Slim Wireless Keyboard")
    ]
    assert (await ask(world, "q=son", path="search/suggest"))["data"] == ["Sonavale"]
    for nothing in ("", "q=", "q=%20", "q=%25", "q=zzzz"):
        assert (await ask(world, nothing, path="search/suggest"))["data"] == []
    assert len((await ask(world, "q=e", path="search/suggest"))["data"]) <= 10
    for wrong in ("q=" + "a" * 201, "q=%00", "limit=3"):
        await ask(world, wrong, status=422, path="search/suggest")


async def test_head_and_other_methods(world: World) -> None:
    head = await world.client.head("/api/v1/search?q=mouse")
    assert (head.status_code, head.content) == (200, b"")
    assert (await world.client.post("/api/v1/search", json={})).status_code == 405


async def test_an_index_that_is_away_is_503_and_the_rest_works(tmp_path: Any) -> None:
    async def away(call: str) -> None:
        if call.startswith("search."):
            raise StoreUnavailable("no connection")

    clock = FakeClock()
    stores = open_memory_stores(clock.now_ms, seams=Seams(before=away))
    async with open_world(tmp_path, stores=stores, clock=clock) as world:
        answers: list[httpx.Response] = [
            await world.client.get(path) for path in ("/api/v1/search?q=a", "/api/v1/search/suggest?q=a")
        ]
        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == (503, "store-unavailable")
            assert answer.headers["retry-after"]
        assert (await world.client.get("/api/v1/products")).status_code == 200
