"""Search on a real platform: it follows the catalog within seconds, and survives a reindex."""

import secrets
import time
from typing import Any, Final

import pytest

from tests.live_platform import LivePlatform
from tests.live_shop import Json, LiveShop, expect, settles

pytestmark = [pytest.mark.ray, pytest.mark.postgres]

WITHIN_S: Final = 5.0


async def search(shop: LiveShop, **query: Any) -> Json:
    return expect(await shop.client.get("/search", params=query), 200)


async def finds(shop: LiveShop, word: str, *product_ids: str) -> Json:
    """Until exactly these are found by a word."""
    return await settles(
        lambda: search(shop, q=word), lambda found: [each["id"] for each in found["data"]] == [*product_ids], WITHIN_S
    )


def new_product(word: str) -> Json:
    name = secrets.token_hex(4)
    variants = [{"sku": f"FIND-{name}-{size}".upper(), "options": {"size": size}, "price": 12.5} for size in ("s", "l")]
    return {"id": f"prod-{name}", "name": f"Quilt {word}", "brand": f"Brand {word}", "variants": variants}


def new_word() -> str:
    """Found by nothing but itself: a word with a digit is never corrected."""
    return f"w1{secrets.token_hex(5)}"


async def test_keyboards_are_found_in_spite_of_a_typing_error(shop: LiveShop) -> None:
    found = await search(shop, q="keybord")
    assert [each["id"] for each in found["data"][:2]] == ["prod-keyboard-001", "prod-keyboard-002"]
    assert all(variant["available"] > 0 for each in found["data"][:2] for variant in each["variants"])
    brands = {each["value"]: each["count"] for each in found["facets"]["brand"]}
    assert brands["Clackworks"] == brands["Brightwell"] - 1 == 1
    assert found["facets"]["category"][0]["value"] == "electronics"
    assert sum(each["count"] for each in found["facets"]["price"]) == found["total"] == 4
    dear = await search(shop, q="keybord", minPrice="100", inStock="true", sort="-price")
    assert [each["id"] for each in dear["data"]] == ["prod-laptop-002", "prod-laptop-003", "prod-keyboard-001"]
    suggested = expect(await shop.client.get("/search/suggest", params={"q": "keyb"}), 200)
    assert suggested["data"] == ["Mechanical Keyboard K87", "Slim Wireless Keyboard"]


async def test_a_product_is_found_renamed_and_gone_within_seconds(shop: LiveShop) -> None:
    first, second = new_word(), new_word()
    body = new_product(first)
    made = expect(await shop.client.post("/products", json=body, headers=shop.admin), 201)
    began = time.monotonic()
    found = await finds(shop, first, made["id"])
    assert time.monotonic() - began < WITHIN_S
    assert found["data"][0] == made
    await finds(shop, body["variants"][0]["sku"], made["id"])

    renamed = {**body, "name": f"Quilt {second}", "brand": "", "variants": [{**body["variants"][0], "price": 99.0}]}
    expect(await shop.client.put(f"/products/{made['id']}", json=renamed, headers=shop.admin), 200)
    found = await finds(shop, second, made["id"])
    assert (found["data"][0]["price"], found["data"][0]["version"]) == (99.0, 2)
    assert (await search(shop, q=first))["total"] == 0

    deleted = await shop.client.delete(f"/products/{made['id']}", headers=shop.admin)
    assert deleted.status_code == 204
    await finds(shop, second)


async def test_a_reindex_finds_the_same_and_loses_no_change(platform: LivePlatform, shop: LiveShop) -> None:
    word = new_word()
    made = expect(await shop.client.post("/products", json=new_product(word), headers=shop.admin), 201)
    await finds(shop, word, made["id"])
    before = await search(shop, limit=100)
    done = platform.command("reindex")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"indexed {before['total']} products\n"
    after = await search(shop, limit=100)
    assert (after["data"], after["facets"], after["total"]) == (before["data"], before["facets"], before["total"])
    # Changes still arrive, in the tables that are live now.
    again = expect(await shop.client.post("/products", json=new_product(word), headers=shop.admin), 201)
    both = sorted([made["id"], again["id"]])
    await settles(lambda: search(shop, q=word), lambda found: [each["id"] for each in found["data"]] == both, WITHIN_S)
