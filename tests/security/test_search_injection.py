"""Nothing that is typed into the search is syntax: not to SQL, not to the text search, not to a document store."""

from urllib.parse import quote

import pytest

from tests.contract.sample_products import sample_products
from tests.http_app import World

PROBES = [
    "'", "''", '"', "\\", "\\'", ";", "--", "/*", "%", "_", "%%%", "' OR '1'='1", "'; DROP TABLE catalog.products; --",
    "x' UNION SELECT password_hash FROM users.users --", "keyboard' & 'x", "keyboard:*", "!keyboard", "keyboard <-> mouse",
    "(((", ")))", "&|!", ":A", "'a':*AB", "$1", "${jndi:ldap://x}", '{"$ne": null}', '{"$where": "1"}', "$gt", "[$regex]",
    "<script>alert(1)</script>", "../../etc/passwd", "{{7*7}}", "name:*", "NOT keyboard", "+keyboard -mouse", "~keyboard",
    "keyboard^9", "*", "?", "/k.*/", "\ufffd", "\u202e", "\ud7ff", "\U0010ffff", "ﷺ" * 100, "a" * 200, "' " * 100,
]  # fmt: skip


@pytest.fixture(autouse=True)
async def sample(world: World) -> None:
    await world.stores.search.index(sample_products())


@pytest.mark.parametrize("probe", PROBES)
async def test_a_probe_is_plain_words(world: World, probe: str) -> None:
    for path in ("search", "search/suggest"):
        answer = await world.client.get(f"/api/v1/{path}?q={quote(probe)}")
        assert answer.status_code == 200, (path, answer.text)
        assert len(answer.json()["data"]) <= 12
    again = await world.client.get("/api/v1/search?q=keyboard")
    assert again.json()["total"] == 4


@pytest.mark.parametrize("name", ["category", "brand", "minPrice", "maxPrice", "sort", "inStock", "limit", "cursor"])
async def test_a_probe_in_a_filter_is_refused_or_finds_nothing(world: World, name: str) -> None:
    for probe in PROBES:
        answer = await world.client.get(f"/api/v1/search?{name}={quote(probe)}")
        assert answer.status_code in {200, 422}, (probe, answer.text)
        if answer.status_code == 200:
            assert answer.json()["data"] == [], probe
        else:
            assert answer.json()["code"] == "invalid-fields"
            # No error repeats what was sent; single signs are in every sentence.
            assert len(probe) < 10 or probe not in answer.text


@pytest.mark.parametrize("query", ["q[$ne]=x", "q[]=x", "brand[$regex]=.*", "$where=1", "sort[$gt]=", "q=a&q=b"])
async def test_operators_in_names_are_422(world: World, query: str) -> None:
    assert (await world.client.get(f"/api/v1/search?{query}")).status_code == 422


async def test_long_and_binary_text_is_422(world: World) -> None:
    for query in ("q=" + "a" * 201, "q=" + "a" * 7_000, "q=%00", "q=key%00board", "q=a%0d%0aSet-Cookie:x", "brand=%00"):
        answer = await world.client.get(f"/api/v1/search?{query}")
        assert answer.status_code == 422, query
        assert "Set-Cookie" not in answer.headers


async def test_what_is_no_utf_8_is_no_fault(world: World) -> None:
    answer = await world.client.get("/api/v1/search?q=%ff%fe%c3")
    assert (answer.status_code, answer.json()["data"]) == (200, [])


async def test_stored_text_comes_back_as_text(world: World) -> None:
    admin = await world.admin()
    name = "<script>alert('x')</script> lamp"
    body = {"name": name, "brand": '"><img src=x>', "variants": [{"sku": "XSS-1", "price": 1}]}
    made = (await world.client.post("/api/v1/products", json=body, headers=admin)).json()
    record = await world.stores.catalog.product(made["id"])
    assert record is not None
    await world.stores.search.index([record])
    for path in ("search?q=script", "search/suggest?q=script"):
        answer = await world.client.get(f"/api/v1/{path}")
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert name in (answer.json()["data"][0] if "suggest" in path else answer.json()["data"][0]["name"])
