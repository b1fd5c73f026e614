"""Products from files and into files: the same rules as over HTTP, each product whole or not at all."""

import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from persistence.errors import OutcomeUnknown, StoreUnavailable
from serve.catalog.formats import FORMATS, format_of
from serve.catalog.importing import Import
from serve.catalog.product_files import Fault, FileRefused
from serve.events import Cause
from tests.catalog_files import HEADER, FileShop, Told, counts, line


@pytest.fixture
def shop(tmp_path: Path) -> FileShop:
    return FileShop(tmp_path)


TWO = (
    HEADER + 'shirt,"Shirt, blue",Two\tlines\r\n,Loom,USD,,/a.png|https://cdn.example/b.png,'
    '"{""weight"": 0.5, ""care"": [""30 °C""], ""deep"": {""a"": null}}",SHIRT-S,"{""size"": ""S""}",19.99\r\n'
    'shirt,,,,,,,,SHIRT-M,"{""size"": ""M""}",20\r\n'
    "mug,Mug 🫖,,,,,,,MUG,,4.35\n"
).replace("Two\tlines\r\n", '"Two\r\nlines"')


async def test_csv_rows_become_products(shop: FileShop) -> None:
    tally, faults = await shop.take(TWO)
    assert (counts(tally), faults) == ((2, 0, 0, 0), [])
    products = await shop.products()
    shirt, mug = products["shirt"], products["mug"]
    assert (shirt.name, shirt.description, shirt.brand) == ("Shirt, blue", "Two\r\nlines", "Loom")
    assert shirt.images == ("/a.png", "https://cdn.example/b.png")
    assert shirt.attributes == {"weight": 0.5, "care": ["30 °C"], "deep": {"a": None}}
    assert [(row.sku, row.options, row.price_minor) for row in shirt.variants] == [
        ("SHIRT-S", {"size": "S"}, 1999), ("SHIRT-M", {"size": "M"}, 2000)
    ]  # fmt: skip
    assert (mug.name, mug.currency, mug.variants[0].price_minor, mug.attributes) == ("Mug 🫖", "USD", 435, {})
    assert set(await shop.stores.catalog.prices(["SHIRT-S", "SHIRT-M", "MUG"])) == {"SHIRT-S", "SHIRT-M", "MUG"}
    assert await shop.facts() == ["product.created", "product.created"]


@pytest.mark.parametrize("file_format", ["csv", "jsonl"])
async def test_an_export_imports_into_another_shop_and_changes_nothing_in_its_own(
    shop: FileShop, tmp_path: Path, file_format: str
) -> None:
    await shop.category("audio")
    await shop.take(TWO)
    await shop.take(
        line("=cmd".replace("=", "x"), name="=HYPERLINK(1)", categories=["audio"], description='"quoted", | \n',
             attributes={"a": True, "b": 1, "c": 1.5, "d": {"e": ["f|g"]}}), "jsonl"
    )  # fmt: skip
    exported = await shop.export(file_format)
    events = await shop.facts()
    assert counts((await shop.take(exported, file_format))[0]) == (0, 0, 3, 0)
    assert await shop.facts() == events

    other = FileShop(tmp_path)
    tally, faults = await other.take(exported, file_format, create_categories=True)
    assert (counts(tally), faults, tally.categories) == ((3, 0, 0, 0), [], ["audio"])
    assert await other.export(file_format) == exported
    assert await other.export("csv") == await shop.export("csv")


async def test_what_changed_is_changed_with_a_price_version_and_the_rest_stays(shop: FileShop) -> None:
    await shop.take(TWO)
    before = await shop.stores.catalog.prices(["SHIRT-S", "SHIRT-M"])
    tally, _ = await shop.take(TWO.replace("19.99", "17.50"))
    assert counts(tally) == (0, 1, 1, 0)
    after = await shop.stores.catalog.prices(["SHIRT-S", "SHIRT-M"])
    assert after["SHIRT-S"].version > before["SHIRT-S"].version
    assert after["SHIRT-M"] == before["SHIRT-M"]
    assert (await shop.products())["shirt"].version == 2
    assert await shop.facts() == ["product.created", "product.created", "product.price_changed"]


async def test_a_variant_that_the_file_leaves_out_is_removed(shop: FileShop) -> None:
    await shop.take(TWO)
    rows = TWO.splitlines(keepends=True)
    await shop.take("".join(row for row in rows if "SHIRT-M" not in row))
    assert set(await shop.stores.catalog.prices(["SHIRT-S", "SHIRT-M"])) == {"SHIRT-S"}


async def test_true_is_not_1_when_products_are_compared(shop: FileShop) -> None:
    await shop.take(line(attributes={"a": True}), "jsonl")
    assert counts((await shop.take(line(attributes={"a": 1}), "jsonl"))[0]) == (0, 1, 0, 0)
    assert counts((await shop.take(line(attributes={"a": 1.0}), "jsonl"))[0]) == (0, 0, 1, 0)


async def test_a_byte_order_mark_is_passed_over(shop: FileShop) -> None:
    assert counts((await shop.take(b"\xef\xbb\xbf" + TWO.encode()))[0]) == (2, 0, 0, 0)
    assert counts((await shop.take(b"\xef\xbb\xbf" + line().encode(), "jsonl"))[0]) == (1, 0, 0, 0)


async def test_columns_may_be_fewer_and_in_any_order(shop: FileShop) -> None:
    tally, faults = await shop.take("Price, SKU ,name,id\n5,A,Apple,apple\n")
    assert (counts(tally), faults) == ((1, 0, 0, 0), [])


@pytest.mark.parametrize(
    ("file_format", "content"),
    [
        ("csv", HEADER + "p,P,,,,,,,S-1,,1\nq,Q,,,,,,,Q,,1\np,P,,,,,,,S-2,,1\n"),
        ("jsonl", line("p") + line("q") + line("p", name="again")),
    ],
)
async def test_a_product_in_two_places_is_refused_in_both(shop: FileShop, file_format: str, content: str) -> None:
    tally, faults = await shop.take(content, file_format)
    assert counts(tally) == (1, 0, 0, 2)
    assert [fault.field for fault in faults] == ["id", "id"]
    assert set(await shop.products()) == {"q"}


async def test_a_sku_of_another_product_is_named_with_its_line(shop: FileShop) -> None:
    await shop.take(TWO)
    tally, faults = await shop.take(HEADER + "p,P,,,,,,,S-1,,1\np,,,,,,,,MUG,,1\nq,Q,,,,,,,Q,,1\n")
    assert counts(tally) == (1, 0, 0, 1)
    assert faults == [Fault(3, "sku", "MUG belongs to mug")]


async def test_an_id_that_was_deleted_is_not_given_again(shop: FileShop) -> None:
    await shop.take(line("p1"), "jsonl")
    await shop.stores.catalog.delete_product("p1", 1, [])
    tally, faults = await shop.take(line("p1"), "jsonl")
    assert counts(tally) == (0, 0, 0, 1)
    assert faults[0].field == "/id"
    assert "deleted" in faults[0].reason


async def test_a_trial_tells_and_writes_nothing(shop: FileShop) -> None:
    await shop.take(TWO)
    before, facts = await shop.export(), await shop.facts()
    content = TWO.replace("Mug", "Cup") + "new,New,,,,fresh,,,NEW,,1\nthief,T,,,,,,,MUG,,1\nbad,,,,,,,,B,,1\n"
    tally, faults = await shop.take(content, trial=True, create_categories=True)
    assert counts(tally) == (1, 1, 1, 2)
    assert sorted(fault.field for fault in faults) == ["name", "sku"]
    assert (await shop.export(), await shop.facts()) == (before, facts)
    assert await shop.stores.catalog.categories() == []


async def test_a_category_that_is_gone_stays_with_the_products_that_have_it(shop: FileShop) -> None:
    await shop.category("audio")
    await shop.take(line("p", categories=["audio"]), "jsonl")
    await shop.stores.catalog.delete_category("audio", 1)
    assert counts((await shop.take(line("p", name="x", categories=["audio"]), "jsonl"))[0]) == (0, 1, 0, 0)
    assert counts((await shop.take(line("q", categories=["audio"]), "jsonl"))[0]) == (0, 0, 0, 1)


async def test_missing_categories_are_made_when_asked(shop: FileShop) -> None:
    tally, _ = await shop.take(line("p", categories=["home-audio"]), "jsonl", create_categories=True)
    assert tally.categories == ["home-audio"]
    assert [(row.id, row.name) for row in await shop.stores.catalog.categories()] == [("home-audio", "Home Audio")]


async def test_another_currency_than_the_catalogs_is_refused_at_once(shop: FileShop, tmp_path: Path) -> None:
    await shop.take(TWO)
    run = Import(stores=shop.stores, cause=Cause("i"), currency="EUR", report=Told())
    with pytest.raises(FileRefused, match="STAMPEDE_CATALOG_CURRENCY"):
        await run.run(tmp_path / "products.csv", FORMATS["csv"])


async def test_somebody_else_who_changes_a_product_meanwhile_is_not_overwritten_unseen(shop: FileShop) -> None:
    await shop.take(line("p", name="first"), "jsonl")
    somebody_came = False

    async def somebody_else(call: str) -> None:
        nonlocal somebody_came
        if call == "catalog.products_by_id" and not somebody_came:
            somebody_came = True
            held = (await shop.products())["p"]
            await shop.stores.catalog.save_product(msgspec.structs.replace(held, version=2), 1, [])

    shop.seams.after = somebody_else
    tally, _ = await shop.take(line("p", name="second"), "jsonl")
    assert counts(tally) == (0, 1, 0, 0)
    assert ((await shop.products())["p"].name, (await shop.products())["p"].version) == ("second", 3)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve.catalog.importing.BATCH_PRODUCTS_MAX", 10)
    monkeypatch.setattr("serve.catalog.importing.RETRY_PAUSES_S", (0.0, 0.0))


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("written", [False, True])
async def test_when_an_answer_is_lost_what_is_in_is_whole_and_the_import_goes_on_later(
    shop: FileShop, written: bool
) -> None:
    fails = fails_at_call(2, OutcomeUnknown("no answer"))
    if written:
        shop.seams.after = fails
    else:
        shop.seams.before = fails
    content = "".join(line(f"p{n}") for n in range(25))
    with pytest.raises(OutcomeUnknown):
        await shop.take(content, "jsonl")
    held = 20 if written else 10
    assert len(await shop.products()) == held
    assert counts((await shop.take(content, "jsonl"))[0]) == (25 - held, 0, held, 0)
    assert len(await shop.facts()) == 25


@pytest.mark.usefixtures("small_batches")
async def test_a_batch_that_surely_was_not_written_is_tried_again(shop: FileShop) -> None:
    shop.seams.before = fails_at_call(2, StoreUnavailable("a row is locked"))
    content = "".join(line(f"p{n}") for n in range(25))
    assert counts((await shop.take(content, "jsonl"))[0]) == (25, 0, 0, 0)


@pytest.mark.usefixtures("small_batches")
async def test_a_store_that_stays_away_ends_the_import(shop: FileShop) -> None:
    async def gone(call: str) -> None:
        if call == "catalog.save_products":
            raise StoreUnavailable("gone")

    shop.seams.before = gone
    with pytest.raises(StoreUnavailable):
        await shop.take(line(), "jsonl")


def fails_at_call(number: int, error: Exception) -> Callable[[str], Awaitable[None]]:
    """A hook for the seams: the call with this number of `save_products` meets the error."""
    calls = 0

    async def hook(call: str) -> None:
        nonlocal calls
        calls += call == "catalog.save_products"
        if call == "catalog.save_products" and calls == number:
            raise error

    return hook


async def test_memory_does_not_grow_with_the_file(shop: FileShop) -> None:
    """Of a file of 8 MB that is refused row by row, only the ids are held."""
    description = "x" * 2_000
    path = shop.folder / "big.csv"
    with path.open("w") as out:
        out.write(HEADER)
        out.writelines(f"p{n},Name,{description},,,,,,S-{n},,wrong\n" for n in range(4_000))
    assert path.stat().st_size > 8_000_000

    class Silent(Told):
        def refused(self, product_id: str, fault: Fault) -> None:
            """Kept by nobody."""

    run = Import(stores=shop.stores, cause=Cause("i"), currency="USD", report=Silent())
    tracemalloc.start()
    try:
        tally = await run.run(path, FORMATS["csv"])
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert counts(tally) == (0, 0, 0, 4_000)
    assert peak_bytes < 3_000_000


def test_a_format_is_told_by_the_name_or_the_option() -> None:
    assert format_of(Path("a.CSV"), None) is FORMATS["csv"]
    assert format_of(Path("-"), "jsonl") is FORMATS["jsonl"]
    for path, chosen in ((Path("a.xlsx"), None), (Path("a"), None), (Path("a.csv"), "xml")):
        with pytest.raises(FileRefused, match="--format"):
            format_of(path, chosen)
