"""Products from a file on a running platform: shown, sold at the file's price, and exported again."""

import json
import secrets
from pathlib import Path

import pytest

from tests.live_platform import LivePlatform, until
from tests.live_shop import LiveShop, expect

pytestmark = [pytest.mark.ray, pytest.mark.postgres]


def product(name: str, price: str) -> str:
    return (
        f'{{"id": "prod-{name}", "name": "Imported {name}", "categories": ["audio"],'
        f' "variants": [{{"sku": "{name.upper()}", "options": {{"size": "M"}}, "price": {price}}}]}}\n'
    )


async def test_an_imported_product_is_sold_at_the_price_of_the_newest_file(
    platform: LivePlatform, shop: LiveShop, tmp_path: Path
) -> None:
    name = f"imported-{secrets.token_hex(4)}"
    file = tmp_path / "products.jsonl"

    def take(price: str) -> str:
        file.write_text(product(name, price))
        done = platform.command("import", "products", str(file))
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        return done.stdout

    assert take("10.00") == "1 created, 0 changed, 0 unchanged, 0 refused\n"
    shown = expect(await shop.client.get(f"/products/prod-{name}"), 200)
    assert (shown["name"], shown["price"], shown["version"]) == (f"Imported {name}", 10, 1)
    stock = {"delta": 5, "reason": "delivery"}
    expect(await shop.client.post(f"/inventory/{name.upper()}/adjust", json=stock, headers=shop.admin), 200)
    assert expect(await shop.order({name.upper(): 1}), 201)["total"] == 10

    assert take("10.00") == "0 created, 0 changed, 1 unchanged, 0 refused\n"
    assert take("7.50") == "0 created, 1 changed, 0 unchanged, 0 refused\n"

    async def has_the_new_price() -> bool:
        return bool(expect(await shop.order({name.upper(): 1}), 201)["total"] == 7.5)

    await until(has_the_new_price, within_s=3, what="an order at the new price")

    done = platform.command("export", "products", "-", "--format", "jsonl")
    assert done.returncode == 0
    exported = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["id"] for row in exported] == sorted(row["id"] for row in exported)
    (ours,) = [row for row in exported if row["id"] == f"prod-{name}"]
    assert ours["variants"] == [{"sku": name.upper(), "options": {"size": "M"}, "price": 7.5}]
    file.write_text(done.stdout)
    again = platform.command("import", "products", str(file), "--dry-run")
    assert (
        again.stdout == f"0 created, 0 changed, {len(exported)} unchanged, 0 refused; nothing was written (dry run)\n"
    )
    platform.audit()
