"""The search index: what is found, counted, ranked and paged, and what is no syntax."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from persistence.ports import ProductSearch
from persistence.records import SearchQuery
from persistence.stores import Stores
from tests.contract.adapters import SEARCHES, stores_of
from tests.contract.builders import product, variant
from tests.contract.sample_products import counts, found, sample_products, thing

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden/search/queries.json").read_text("utf-8"))


@pytest.fixture(params=SEARCHES)
def stores(request: pytest.FixtureRequest) -> Stores:
    return stores_of(request)


@pytest.fixture
def search(stores: Stores) -> ProductSearch:
    return stores.search


async def test_the_golden_queries_find_what_they_say(search: ProductSearch) -> None:
    await search.index(sample_products())
    for golden in GOLDEN["queries"]:
        filters = dict(golden.get("filters", {}))
        if "skus_in_stock" in filters:
            filters["skus_in_stock"] = frozenset(filters["skus_in_stock"])
        page = await search.search(SearchQuery(text=golden["text"], limit=100, **filters))
        hits, why = [hit.id for hit in page.products], golden["why"]
        assert hits[: len(golden.get("first", ()))] == golden.get("first", []), why
        assert sorted(hits) == sorted(golden.get("found", hits)), why
        assert not set(golden.get("never", ())) & set(hits), why
        assert page.total == golden.get("total", len(hits)), why
        for facet, expected in golden.get("facets", {}).items():
            assert counts(page)[facet] == expected, (why, facet)


async def test_the_golden_suggestions_are_shown(search: ProductSearch) -> None:
    await search.index(sample_products())
    for golden in GOLDEN["suggestions"]:
        assert await search.suggest(golden["text"], 10) == golden["shown"], golden["why"]
    assert await search.suggest("gam", 2) == ["gaming", "Gaming Headset Surge"]
    assert await search.suggest("gam", 0) == []


async def test_products_come_back_as_they_were_indexed(search: ProductSearch) -> None:
    await search.index(sample_products())
    page = await search.search(SearchQuery(text="ultrabook"))
    assert page.products == (sample_products()[0],)
    assert page.next_cursor is None


async def test_an_empty_index_finds_nothing(search: ProductSearch) -> None:
    for text in ("", "keyboard", "keybord mouse", "%"):
        page = await search.search(SearchQuery(text=text))
        assert (page.products, page.next_cursor, page.total) == ((), None, 0)
        assert page.facets == {"category": (), "brand": (), "price": ()}
    await search.index([])
    await search.remove({})


@pytest.mark.parametrize("sort", ["relevance", "name", "price", "-price", "newest"])
@pytest.mark.parametrize("text", ["", "gadget"])
async def test_pages_join_without_gap_or_repeat(search: ProductSearch, sort: Any, text: str) -> None:
    # Many ties: names, prices and ages repeat.
    rows = [
        product(f"p{n:02}", name=f"Gadget {n % 3}", variants=[variant(f"S{n}", 100 * (n % 4))], created_at_ms=n % 5)
        for n in range(23)
    ]
    await search.index(rows)
    whole = await found(search, text, sort=sort)
    assert sorted(whole) == [row.id for row in rows]
    for limit in (1, 5, 22):
        paged: list[str] = []
        cursor = None
        while True:
            page = await search.search(SearchQuery(text=text, sort=sort, limit=limit, cursor=cursor))
            assert page.total == 23
            paged += [hit.id for hit in page.products]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert paged == whole


async def test_facets_do_not_depend_on_the_page(search: ProductSearch) -> None:
    await search.index(sample_products())
    first = await search.search(SearchQuery(text="electronics", limit=2))
    second = await search.search(SearchQuery(text="electronics", limit=2, cursor=first.next_cursor))
    assert first.facets == second.facets
    assert first.total == second.total == 12


async def test_a_foreign_cursor_is_refused(search: ProductSearch) -> None:
    await search.index(sample_products())

    async def cursor(**of: Any) -> str:
        made = (await search.search(SearchQuery(limit=1, **of))).next_cursor
        assert made is not None
        return made

    by_name = await cursor(text="gaming", sort="name")
    by_rank = await cursor(text="gaming")
    for text, sort, wrong in [
        ("gaming", "relevance", by_name),
        ("gaming", "price", by_name),
        ("keyboard", "relevance", by_rank),
        ("", "relevance", by_rank),
        ("gaming", "name", "nonsense"),
        ("gaming", "name", ""),
        ("%", "name", "nonsense"),
    ]:
        with pytest.raises(ValueError, match="cursor"):
            await search.search(SearchQuery(text=text, sort=sort, cursor=wrong))  # type: ignore[arg-type]


async def test_exact_words_come_before_beginnings_and_the_name_before_the_rest(search: ProductSearch) -> None:
    await search.index([
        thing("p1", "Bench", description="made of oak"),
        thing("p2", "Bench", attributes={"wood": "oaken"}),
        thing("p3", "Bench", attributes={"wood": "oak"}),
        thing("p4", "Oaken bench"),
        thing("p5", "Bench of oak and steel"),
        thing("p6", "Oak bench"),
        thing("p0", "Oak bench"),
        thing("p7", "Bench of pine"),
    ])  # fmt: skip
    assert await found(search, "oak") == ["p0", "p6", "p5", "p4", "p3", "p2", "p1"]


async def test_a_correction_is_only_tried_where_the_word_finds_nothing(search: ProductSearch) -> None:
    await search.index([
        thing("p1", "House lamp"),
        thing("p2", "Mouse pad"),
        thing("p3", "Moose plush"),
    ])  # fmt: skip
    assert await found(search, "mouse") == ["p2"]
    assert await found(search, "moise") == ["p2", "p3"]
    await search.remove({"p2": 2})
    assert await found(search, "mouse") == ["p1", "p3"]  # nobody has the word any more


async def test_a_word_that_meets_no_other_is_corrected_too(search: ProductSearch) -> None:
    await search.index([thing("p1", "Foam mattress"), thing("p2", "Form for cakes")])
    assert await found(search, "form mattress") == ["p1"]


async def test_other_scripts_are_searched_and_corrected(search: ProductSearch) -> None:
    await search.index([
        product("p1", name="Беспроводные наушники"),
        product("p2", name="Ünïcödé Größe Straße"),
        product("p3", name="机械键盘"),
        product("p4", name="कीबोर्ड हिन्दी"),
        product("p5", name="📷 Kamera"),
    ])  # fmt: skip
    assert await found(search, "НАУШНИКИ") == ["p1"]
    assert await found(search, "наушикни") == ["p1"]
    assert await found(search, "unicode groesse") == ["p2"]  # one word of two
    assert await found(search, "strasse") == ["p2"]
    assert await found(search, "键盘") == ["p3"]
    assert await found(search, "हिन्दी") == ["p4"]
    assert await found(search, "📷") == []


async def test_text_of_any_kind_can_be_indexed_and_asked(search: ProductSearch) -> None:
    odd = "a'b\\c\"d:*&|!(<->) ' \\' é\u0301 \u200b \ufdfa 'x':1A {a,b} %_ " + "\ufdfa" * 200
    long = " ".join(f"word{n}" for n in range(5_000)) + "x" * 3_000
    row = msgspec.structs.replace(
        product("p1", name=odd[:200], variants=[variant("S-1")]),
        brand=odd[:100],
        description=long,
        categories=("a-b",),
        attributes={"k'\\\"": odd, "list": [odd, "", "{}", 1, True], "none": "", "much": 2.5e9},
    )
    await search.index([row])
    assert (await search.search(SearchQuery(text="", brand=odd[:100]))).products == (row,)
    assert await found(search, odd) == ["p1"]
    assert await found(search, long) == ["p1"]
    await search.suggest(odd, 10)


@pytest.mark.parametrize(
    "text", ["'", "\\", "a'b", "a\\'b", ":*", "!", "&&&", "(((", "<->", "%", "_", "' OR 1=1 --", "\ufffd", "a" * 10_000]
)
async def test_no_text_is_syntax(search: ProductSearch, text: str) -> None:
    await search.index([thing("q9", "Zebra")])
    assert await found(search, text) == []
    assert await search.suggest(text, 10) == []
