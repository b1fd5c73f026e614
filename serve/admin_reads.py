"""What administrators' lists read: orders of everybody, and the stock of every SKU."""

from collections.abc import Mapping
from typing import Final

import msgspec

from persistence.cursors import decode_cursor, encode_cursor
from persistence.records import CatalogSku, OrderFilter, OrderRow, StockRow
from persistence.stores import Stores
from serve.schemas.users import email_key

SCAN_MAX: Final = 20_000
"""Orders that one page looks at: a filter that lets few through must not make one request read them all."""

_PAGES_MAX: Final = 5
_SKUS_AT_ONCE: Final = 500
_INVENTORY: Final = "inventory"


class StockLine(msgspec.Struct, frozen=True, kw_only=True):
    """A SKU: its record, if it has one, and what the catalog says, if it is on sale."""

    sku: str
    row: StockRow | None
    product: CatalogSku | None

    @property
    def available(self) -> int:
        """Units that can be bought."""
        return 0 if self.row is None else self.row.on_hand - self.row.reserved


async def find_orders(
    stores: Stores, wanted: OrderFilter, email: str | None, limit: int, cursor: str | None
) -> tuple[list[OrderRow], str | None]:
    """A page of orders, newest first, and the cursor behind it.

    An `email` that is an account's means that account's orders. The page may be short with more behind it. Raises
    `ValueError` for a cursor that is not ours.
    """
    chosen: OrderFilter | None = wanted
    if email is not None:
        chosen = await _of_email(stores, wanted, email)
    if chosen is None:
        return [], None
    found: list[OrderRow] = []
    for _ in range(_PAGES_MAX):
        rows, cursor = await stores.orders.find(chosen, limit=limit - len(found), cursor=cursor, scan_max=SCAN_MAX)
        found += rows
        if cursor is None or len(found) >= limit:
            break
    return found, cursor


async def _of_email(stores: Stores, wanted: OrderFilter, email: str) -> OrderFilter | None:
    """The filter with the address in it; None if nothing can fit."""
    user = await stores.users.by_email(email_key(email))
    if user is None:
        return msgspec.structs.replace(wanted, email_key=email.lower())
    if wanted.user_id not in {None, user.id}:
        return None
    return msgspec.structs.replace(wanted, user_id=user.id)


async def stock_lines(
    stores: Stores, *, text: str, available_max: int | None, limit: int, cursor: str | None
) -> tuple[list[StockLine], str | None]:
    """A page of SKUs by SKU, and the cursor behind it: all that are on sale, and all that have a record.

    `text` is the start of a SKU or a part of the name of its product. With `available_max` those of which at most so many
    can be bought; the page may then be short with more behind it. Raises `ValueError` for a cursor that is not ours.
    """
    behind = "" if cursor is None else _sku_of(cursor)
    found: list[StockLine] = []
    ended = False
    for _ in range(_PAGES_MAX):
        lines, behind, ended = await _some_lines(stores, text, behind, available_max)
        found += lines
        if ended or len(found) > limit:
            break
    page = found[:limit]
    if len(found) > limit:
        return page, encode_cursor(_INVENTORY, "", page[-1].sku)
    return page, None if ended else encode_cursor(_INVENTORY, "", behind)


async def _some_lines(
    stores: Stores, text: str, behind: str, available_max: int | None
) -> tuple[list[StockLine], str, bool]:
    """The lines behind `behind`, up to where both lists were read to; that place; and whether both have ended."""
    on_sale = await stores.catalog.skus(text=text, behind=behind, limit=_SKUS_AT_ONCE)
    stored = await stores.stock.levels(prefix=text, behind=behind, available_max=available_max, limit=_SKUS_AT_ONCE)
    ends = [
        rows[-1].sku for rows in (on_sale, stored) if len(rows) == _SKUS_AT_ONCE
    ]  # a list that has ended bounds nothing
    until = min(ends, default=None)
    products = {row.sku: row for row in on_sale if until is None or row.sku <= until}
    rows: dict[str, StockRow] = {row.sku: row for row in stored if until is None or row.sku <= until}
    rows.update(await stores.stock.load([sku for sku in products if sku not in rows]))
    products.update(await _named(stores, [sku for sku in rows if sku not in products]))
    lines = (
        StockLine(sku=sku, row=rows.get(sku), product=products.get(sku))
        for sku in sorted(rows.keys() | products.keys())
    )
    kept = [line for line in lines if available_max is None or line.available <= available_max]
    return kept, until or "", until is None


async def _named(stores: Stores, skus: list[str]) -> Mapping[str, CatalogSku]:
    prices = await stores.catalog.prices(skus) if skus else {}
    return {sku: CatalogSku(sku=sku, product_id=price.product_id, name=price.name) for sku, price in prices.items()}


def _sku_of(cursor: str) -> str:
    _, sku = decode_cursor(_INVENTORY, cursor)
    return sku
