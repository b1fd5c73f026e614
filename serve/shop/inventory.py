"""Inventory: which SKUs there are, and what became of a reservation that is not held any more."""

import re
from typing import Final

from actors.domain.decision import Rejected
from actors.domain.ids import EXTERNAL_RESERVATION_PREFIX
from actors.domain.inventory import ReleaseExternal, StockLevel
from persistence.records import StockRow
from serve.deps import EntityReply, Services
from serve.errors import not_found
from serve.schemas.orders import is_order_id
from serve.shop.commands import CommandIdentity, command, remembered
from serve.shop.orders import decode_order

_SKU: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SOLD: Final = frozenset({"confirmed", "shipped", "delivered", "refunded"})
"""Statuses of an order whose reservations were committed, or will be within a second."""

_NO_SUCH: Final = Rejected("reservation-not-found", "No such reservation.")


async def stock_of(services: Services, sku: str) -> StockRow:
    """The SKU's record. Raises `Problem` 404 if it has none."""
    row = (await services.offers.stock([sku])).get(sku) if _SKU.fullmatch(sku) else None
    if row is None:
        raise not_found()
    return row


async def require_known(services: Services, sku: str) -> None:
    """Raises `Problem` 404 unless the SKU is in the catalog, or was once and has a record still."""
    if _SKU.fullmatch(sku) is None:
        raise not_found()
    if sku not in await services.offers.prices([sku]):
        await stock_of(services, sku)


async def release(services: Services, sku: str, reservation_id: str, identity: CommandIdentity) -> EntityReply:
    """Give a reservation of the API's back; one that this SKU never gave out is `reservation-not-found`.

    An order's is refused: `held-by-order` while it is held, `already-committed` once the order was confirmed,
    `reservation-not-found` otherwise (released, or never made).
    """
    hold_id = reservation_id
    if reservation_id.startswith(EXTERNAL_RESERVATION_PREFIX):
        signed = services.ids.hold(sku, reservation_id)
        if signed is None:
            return await remembered(services, "sku", identity) or EntityReply(reply=_NO_SUCH)
        hold_id = signed
    reply = await command(services, "sku", sku, ReleaseExternal(reservation_id=hold_id), identity)
    if isinstance(reply.reply, StockLevel) or not _not_found(reply):
        return reply
    if await _was_committed(services, sku, reservation_id):
        return EntityReply(reply=Rejected("already-committed", "Its units were sold."))
    return reply


def _not_found(reply: EntityReply) -> bool:
    return isinstance(reply.reply, Rejected) and reply.reply.code == "reservation-not-found"


async def _was_committed(services: Services, sku: str, reservation_id: str) -> bool:
    order_id, _, reserved_sku = reservation_id.partition(":")
    if reservation_id.startswith(EXTERNAL_RESERVATION_PREFIX) or reserved_sku != sku or not is_order_id(order_id):
        return False
    row = (await services.stores.orders.load([order_id])).get(order_id)
    return row is not None and row.status in _SOLD and any(line.sku == sku for line in decode_order(row).lines)
