"""Ids that follow from a client's Idempotency-Key, and cannot be guessed from it; and ids that vouch for themselves."""

import hmac
import secrets
from typing import Final

from actors.domain import ids
from serve.auth.secrets import generated_secret, read_secret
from serve.settings import ServeSettings

_SECRET_NAME: Final = "ids"  # noqa: S105 - the name of a file
_MARK_CHARACTERS: Final = 16


class ShopIds:
    """Makes order and command ids, and signs the ids of reservations made over the API.

    Guarantees: the same principal and key give the same id on every node that has the same secret, so a repeat reaches
    the same entity whoever it is sent to. The secret must never change: an order placed before would be placed anew.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def order(self, principal: str, key: str) -> str:
        """The order that this key names."""
        return ids.order_id(self._secret, principal, key)

    def command(self, principal: str, route: str, key: str | None) -> str:
        """The command that this key names on this route; without a key, a new one."""
        return self.fresh() if key is None else ids.command_id(self._secret, principal, route, key)

    def fresh(self) -> str:
        """A command that nobody can repeat."""
        return "cmd_" + secrets.token_hex(12)

    def reservation(self, sku: str, hold_id: str) -> str:
        """The id by which clients know this hold of this SKU.

        A SKU forgets its holds when they end. The signature tells an id that was given out from one that never was.
        """
        return f"{hold_id}.{self._mark(sku, hold_id)}"

    def hold(self, sku: str, reservation_id: str) -> str | None:
        """The hold that `reservation` made this id of; None if it did not, for this SKU."""
        hold_id, _, mark = reservation_id.rpartition(".")
        return hold_id if hmac.compare_digest(mark, self._mark(sku, hold_id)) else None

    def _mark(self, sku: str, hold_id: str) -> str:
        text = f"reservation\0{sku}\0{hold_id}"
        return hmac.digest(self._secret, text.encode(), "sha256").hex()[:_MARK_CHARACTERS]


def shop_ids_of(settings: ServeSettings) -> ShopIds:
    """With the secret that the settings name; in development it is made in the data folder."""
    if settings.ids_secret is not None:
        secret = settings.ids_secret.get_secret_value()
    elif settings.ids_secret_file is not None:
        secret = read_secret(settings.ids_secret_file)
    else:
        secret = generated_secret(settings.data_dir, _SECRET_NAME)
    return ShopIds(secret.encode("utf-8"))
