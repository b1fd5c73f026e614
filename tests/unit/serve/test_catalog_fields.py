"""Every field of a product and a category at its limits and beyond, over HTTP."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from serve.errors import Problem
from serve.schemas.catalog import ProductIn
from serve.strict_json import parse_strict
from tests.http_app import World

XSS = '<script>alert("x")</script><img src=x onerror=alert(1)>'
RTL = "\u202eقميص أزرق\u202c שלום"
FOUR_BYTES = "🫖" * 200


def body(**changes: Any) -> dict[str, Any]:
    return {"id": "p", "name": "Product", "variants": [{"sku": "S", "price": 1}], **changes}


def variant(**changes: Any) -> dict[str, Any]:
    return body(variants=[{"sku": "S", "price": 1, **changes}])


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


async def post(world: World, made: Any, admin: dict[str, str]) -> httpx.Response:
    """As text, for a client library refuses some of what a hostile client sends."""
    headers = {**admin, "Content-Type": "application/json"}
    return await world.client.post("/api/v1/products", content=json.dumps(made), headers=headers)


GOOD: dict[str, dict[str, Any]] = {
    "an id of 64": body(id="a" * 64), "an id of one": body(id="A"), "an id with all characters": body(id="aZ09_-"),
    "a name of one": body(name="x"), "a name of 200": body(name="x" * 200), "a name of 200 times 4 bytes": body(name=FOUR_BYTES),
    "a name from right to left": body(name=RTL), "a name with a combined character": body(name="e\u0301"),
    "a description of 10,000": body(description="é" * 10_000), "lines and tabs": body(description="a\r\n\tb"),
    "an empty description": body(description=""), "a brand of 100": body(brand="b" * 100), "an empty brand": body(brand=""),
    "scripts as text": body(name=XSS, description=XSS, brand=XSS, attributes={"html": XSS}),
    "SQL as text": body(name="'; DROP TABLE catalog.products; --"), "a template as text": body(name="{{7*7}} ${7*7} %s"),
    "a formula as text": body(name='=HYPERLINK("http://x")'),
    "a free gift": variant(price=0), "the highest price": variant(price=100_000_000_000),
    "two decimals": variant(price=0.01), "a SKU of 64": variant(sku="S" * 64), "a SKU with all characters": variant(sku="aZ0._-"),
    "10 options": variant(options={f"o{n}": "v" for n in range(10)}), "an option in another script": variant(options={"Größe": "XL"}),
    "an empty option": variant(options={"size": ""}), "an option of 200": variant(options={"size": "v" * 200}),
    "100 variants": body(variants=[{"sku": f"S-{n}", "price": n} for n in range(100)]),
    "20 images": body(images=[f"https://cdn.example/{n}.png" for n in range(20)]),
    "a site path": body(images=["/static/images/a%20b.png?x=1"]), "an image of 500": body(images=["/" + "a" * 499]),
    "50 attributes": body(attributes={f"a{n}": n for n in range(50)}), "an attribute name of 64": body(attributes={"a" * 64: 1}),
    "every kind of attribute": body(attributes={"a": None, "b": True, "c": -1, "d": 0.5, "e": "t", "f": [1, [2]], "g": {"h": {}}}),
    "attributes of 5 levels": body(attributes=nested(5)), "a text of 1,000": body(attributes={"a": "x" * 1_000}),
}  # fmt: skip

BAD: dict[str, Any] = {
    "nothing": {}, "a list": [], "text": "x", "null": None, "no name": {"variants": [{"sku": "S", "price": 1}]},
    "an unknown field": body(discount=1), "a version": body(version=1), "a prototype": body(__proto__={"admin": True}),
    "an empty id": body(id=""), "an id of 65": body(id="a" * 65), "an id with a space": body(id="a b"), "an id as number": body(id=1),
    "an operator as id": body(id={"$ne": None}), "an id with a newline": body(id="a\n"), "a path as id": body(id="../x"),
    "an id that begins with a dash": body(id="-a"), "an id in another script": body(id="é"), "SQL as id": body(id="a' OR '1'='1"),
    "an empty name": body(name=""), "a name of spaces": body(name=" \t\u00a0\u2003 "), "a name of 201": body(name="x" * 201),
    "a name without anything to see": body(name="\u200b\u200d\ufeff"), "a name of two lines": body(name="a\nb"),
    "a name with a line separator": body(name="a\u2028b"), "NUL in a name": body(name="a\0b"), "an escape in a name": body(name="a\x1b[31m"),
    "a lone surrogate": body(name="a\ud800"), "a C1 control": body(name="a\x85b"), "a name as list": body(name=["a"]),
    "a name as operator": body(name={"$gt": ""}), "a description of 10,001": body(description="x" * 10_001),
    "NUL in a description": body(description="a\0"), "an escape in a description": body(description="\x1b"),
    "a brand of 101": body(brand="b" * 101), "a brand of two lines": body(brand="a\nb"), "a brand as null": body(brand=None),
    "a currency in small letters": body(currency="usd"), "another currency": body(currency="EUR"), "a long currency": body(currency="USDX"),
    "no variants": body(variants=[]), "101 variants": body(variants=[{"sku": f"S-{n}", "price": 1} for n in range(101)]),
    "variants as object": body(variants={"sku": "S"}), "a variant as text": body(variants=["S"]), "a variant that is null": body(variants=[None]),
    "a SKU twice": body(variants=[{"sku": "S", "price": 1}, {"sku": "S", "price": 2}]), "a SKU of 65": variant(sku="S" * 65),
    "an empty SKU": variant(sku=""), "an operator as SKU": variant(sku={"$gt": ""}), "a SKU as number": variant(sku=1),
    "a SKU with a slash": variant(sku="a/b"), "a SKU with a colon": variant(sku="a:b"), "stock in a variant": variant(available=5),
    "a negative price": variant(price=-0.01), "three decimals": variant(price=0.001), "a price as text": variant(price="1.00"),
    "a price as boolean": variant(price=True), "a price over the highest": variant(price=100_000_000_000.01),
    "a price of 10^15": variant(price=10**15), "a price of 10^400": variant(price=10**400), "a price as object": variant(price={"$gt": 0}),
    "no price anywhere": body(variants=[{"sku": "S"}]), "a price that is not the lowest": body(price=2),
    "11 options": variant(options={f"o{n}": "v" for n in range(11)}), "an option of 201": variant(options={"a": "v" * 201}),
    "an option as number": variant(options={"a": 1}), "an option of two lines": variant(options={"a": "x\ny"}),
    "an operator as option": variant(options={"$set": "x"}), "an option without a name": variant(options={"": "x"}),
    "21 images": body(images=["/a"] * 21), "an image of 501": body(images=["/" + "a" * 500]), "an empty image": body(images=[""]),
    "a script as image": body(images=["javascript:alert(1)"]), "a script in capitals": body(images=["JaVaScRiPt:alert(1)"]),
    "a script behind a newline": body(images=["\njavascript:alert(1)"]), "data as image": body(images=["data:text/html,x"]),
    "a file as image": body(images=["file:///etc/passwd"]), "another site without scheme": body(images=["//evil.example/x"]),
    "a backslash host": body(images=["/\\evil.example"]), "a quote in an image": body(images=['https://x/" onerror="alert(1)']),
    "a relative path": body(images=["a.png"]), "a pipe in an image": body(images=["/a|b"]), "a space in an image": body(images=["/a b"]),
    "NUL in an image": body(images=["/a\0b"]), "an image as object": body(images=[{"url": "/a"}]), "images as text": body(images="/a"),
    "51 attributes": body(attributes={f"a{n}": n for n in range(51)}), "an attribute name of 65": body(attributes={"a" * 65: 1}),
    "an operator as attribute": body(attributes={"$where": "1"}), "a path as attribute": body(attributes={"a.b": 1}),
    "an operator within attributes": body(attributes={"a": {"b": [{"$ne": 1}]}}), "a prototype as attribute": body(attributes={"__proto__": 1}),
    "an attribute without a name": body(attributes={"": 1}), "a control in a name": body(attributes={"a\x1b": 1}),
    "attributes of 6 levels": body(attributes=nested(6)), "a text of 1,001": body(attributes={"a": "x" * 1_001}),
    "attributes of 33 KiB": body(attributes={f"a{n}": "x" * 1_000 for n in range(33)}), "attributes as list": body(attributes=[1]),
    "NUL within attributes": body(attributes={"a": ["\0"]}), "a surrogate within attributes": body(attributes={"a": {"b": "\udfff"}}),
    "a number of 19 digits": body(attributes={"a": 10**18}), "attributes that are null": body(attributes=None),
    "21 categories": body(categories=["audio"] * 21), "an unknown category": body(categories=["nowhere"]),
    "a category in capitals": body(categories=["Audio"]), "an operator as category": body(categories=[{"$ne": None}]),
    "categories as text": body(categories="audio"),
}  # fmt: skip


async def test_every_field_at_its_limit_is_kept_as_it_is(world: World) -> None:
    admin, wrong = await world.admin(), []
    for number, (name, made) in enumerate(GOOD.items()):
        # An id of its own, unless it is about ids: those of deleted products are not given again.
        sent = made if name.startswith("an id") else {**made, "id": f"p{number}"}
        world.clock.advance(1)
        answer = await post(world, sent, admin)
        if answer.status_code != 201:
            wrong.append(f"{name}: {answer.status_code} {answer.text[:200]}")
            continue
        shown = (await world.client.get(f"/api/v1/products/{sent['id']}")).json()
        for row in shown["variants"]:
            assert row.pop("available") == 0
        expected = {**sent, "variants": [{"options": {}, **row} for row in sent["variants"]]}
        wrong += [f"{name}: {member}" for member in expected if shown[member] != expected[member]]
        assert (await world.client.delete(f"/api/v1/products/{sent['id']}", headers=admin)).status_code == 204
    assert wrong == [], "\n".join(wrong)


async def test_every_field_beyond_its_limit_is_422_and_nothing_is_stored(world: World) -> None:
    admin, wrong = await world.admin(), []
    for name, made in BAD.items():
        answer = await post(world, made, admin)
        if answer.status_code != 422 or answer.json()["code"] != "invalid-fields" or not answer.json()["errors"]:
            wrong.append(f"{name}: {answer.status_code} {answer.text[:200]}")
    assert wrong == [], "\n".join(wrong)
    assert (await world.client.get("/api/v1/products")).json()["meta"]["total"] == 0
    assert await world.stores.outboxes["catalog"].read(9) == []


@pytest.mark.parametrize(
    "made",
    [{}, {"name": ""}, {"name": " "}, {"name": "x" * 201}, {"name": "a\0"}, {"name": "A", "id": "Big"}, {"name": {"$ne": 1}},
     {"name": "A", "id": ""}, {"name": "A", "id": "a" * 65}, {"name": "A", "id": "-a"}, {"name": "A", "productCount": 3}, [], None],
)  # fmt: skip
async def test_bad_categories_are_422(world: World, made: Any) -> None:
    headers = {**await world.admin(), "Content-Type": "application/json"}
    answer = await world.client.post("/api/v1/categories", content=json.dumps(made), headers=headers)
    assert answer.status_code == 422, answer.text
    assert (await world.client.get("/api/v1/categories")).json()["data"] == []


@pytest.mark.parametrize(
    "query",
    ["sku[$gt]=", "category[$ne]=x", "category=%27%20OR%201=1--", "category=a%00b", "category=Audio", "sort=name;drop",
     "sort=price%20desc", "minPrice=-1", "minPrice=1e3", "minPrice=NaN", "minPrice=0x10", "maxPrice=1.999", "minPrice=", "limit=0",
     "limit=101", "limit=-1", "limit=1e1", "inStock=maybe", "cursor=", "cursor=%27", "cursor=AAAA", "offset=5", "category=a&category=b",
     "minPrice=%EF%BC%91", "minPrice=999999999999999999999", "cursor=" + "A" * 513],
)  # fmt: skip
async def test_bad_filters_are_422_and_name_the_parameter(world: World, query: str) -> None:
    answer = await world.client.get(f"/api/v1/products?{query}")
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["parameter"] == query.partition("=")[0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e15, 1e15, allow_subnormal=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ["id", "name", "description", "brand", "price", "currency", "categories", "attributes", "images", "variants"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(field=st.sampled_from(FIELDS), value=JSON)
def test_whatever_a_field_holds_it_is_refused_or_can_be_stored(field: str, value: Any) -> None:
    """Never another error; and what is accepted is JSON, bounded, and reads back the same."""
    accepted = accepted_or_none({**body(), field: value})
    if accepted is None:
        return
    text = json.dumps(accepted.attributes)
    assert len(text.encode()) < 300_000
    assert json.loads(text) == accepted.attributes
    assert accepted.name.strip() == accepted.name != ""
    assert all(image.startswith(("/", "http://", "https://")) for image in accepted.images)


@settings(max_examples=200, deadline=None)
@given(value=JSON)
def test_attributes_are_stored_as_they_were_sent(value: Any) -> None:
    accepted = accepted_or_none(body(attributes={"a": value}))
    assert accepted is None or accepted.attributes == {"a": value}


def accepted_or_none(made: Any) -> ProductIn | None:
    """As a route would read it; None for either kind of refusal."""
    try:
        return ProductIn.model_validate(parse_strict(json.dumps(made).encode()))
    except (ValidationError, Problem):
        return None
