"""Memory and the real stores answer alike: pages, ranks, facets, cursors and completions of generated catalogs and queries.

So what the rest of the tests learn from the memory adapter holds for the real one too.
"""

import random
from typing import Any

import msgspec
import pytest

from persistence.records import ProductRecord, SearchQuery, VariantRecord
from persistence.stores import Stores, open_memory_stores
from tests.contract.adapters import SEARCHES, stores_of
from tests.contract.builders import product

WORDS = [
    "keyboard", "keyboards", "keyboad", "mouse", "mousse", "house", "monitor", "mini", "usb-c", "laptop-001", "15", "1.5",
    "the", "for", "gaming", "gamma", "Größe", "наушники", "a", "it's", "table", "tablet", "tables", "cable",
]  # fmt: skip
TYPED = [*WORDS, "keybord", "mosue", "moniter", "gamin", "tabel", "наушиники", "k", "t", "%", "!", "usbc", "xyz"]


def generated(chance: random.Random, product_id: str, version: int) -> ProductRecord:
    def some(most: int) -> list[str]:
        return [chance.choice(WORDS) for _ in range(chance.randint(0, most))]

    variants = tuple(
        VariantRecord(
            sku=f"{product_id}-{n}", options=dict.fromkeys(some(1), chance.choice(WORDS)), price_version=1,
            price_minor=chance.choice([0, 2_499, 2_500, 9_999, 300_000]),
        )
        for n in range(chance.randint(1, 2))
    )  # fmt: skip
    return msgspec.structs.replace(
        product(product_id, version, name=" ".join(some(3)) or "x", variants=variants),
        description=" ".join(some(6)),
        brand=" ".join(some(1)),
        categories=tuple({word for word in ("audio", "home-garden", "usb-c") if chance.random() < 0.4}),
        attributes={name: chance.choice([True, False, 1.5, "mini table", ["a", "b"]]) for name in some(2)},
        created_at_ms=chance.randint(1, 4),
    )


def query(chance: random.Random) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "text": " ".join(chance.choice(TYPED) for _ in range(chance.choice([0, 1, 1, 1, 2, 2, 3]))),
        "sort": chance.choice(["relevance", "relevance", "name", "price", "-price", "newest"]),
        "limit": chance.choice([1, 3, 50]),
    }
    if chance.random() < 0.3:
        asked["category"] = chance.choice(["audio", "home-garden", "none"])
    if chance.random() < 0.3:
        asked["brand"] = chance.choice(WORDS)
    if chance.random() < 0.3:
        asked |= {"min_price_minor": 2_500, "max_price_minor": chance.choice([2_499, 9_999])}
    if chance.random() < 0.3:
        asked["skus_in_stock"] = frozenset(f"p{n}-0" for n in range(12) if chance.random() < 0.5)
    return asked


@pytest.fixture(params=SEARCHES[1:])
def stores(request: pytest.FixtureRequest) -> Stores:
    return stores_of(request)


@pytest.mark.parametrize("seed", range(4))
async def test_generated_searches_agree(stores: Stores, seed: int) -> None:
    chance = random.Random(seed)
    both = (open_memory_stores(lambda: 0).search, stores.search)
    for _ in range(20):
        changed = [generated(chance, f"p{chance.randint(0, 11)}", chance.randint(1, 6)) for _ in range(3)]
        removed = {f"p{chance.randint(0, 11)}": chance.randint(1, 4) for _ in range(chance.randint(0, 1))}
        for search in both:
            await search.index(changed)
            await search.remove(removed)
        for _ in range(6):
            asked = query(chance)
            cursor = None
            for _ in range(3):
                pages = [await search.search(SearchQuery(**asked, cursor=cursor)) for search in both]
                assert pages[0] == pages[1], (seed, asked, cursor)
                cursor = pages[0].next_cursor
                if cursor is None:
                    break
            completions = [await search.suggest(asked["text"], 10) for search in both]
            assert completions[0] == completions[1], (seed, asked["text"])
