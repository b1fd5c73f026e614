"""Ids that follow from a client's Idempotency-Key, and cannot be guessed from it."""

import secrets
from typing import Final

from actors.domain import ids
from serve.auth.secrets import generated_secret, read_secret
from serve.settings import ServeSettings

_SECRET_NAME: Final = "ids"  # noqa: S105 - the name of a file


class ShopIds:
    """Makes order and command ids.

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


def shop_ids_of(settings: ServeSettings) -> ShopIds:
    """With the secret that the settings name; in development it is made in the data folder."""
    if settings.ids_secret is not None:
        secret = settings.ids_secret.get_secret_value()
    elif settings.ids_secret_file is not None:
        secret = read_secret(settings.ids_secret_file)
    else:
        secret = generated_secret(settings.data_dir, _SECRET_NAME)
    return ShopIds(secret.encode("utf-8"))
