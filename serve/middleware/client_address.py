"""Finds the client's address: the peer's, or what our own proxy says it was."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

_SCOPE_KEY: Final = "stampede.client_address"
UNKNOWN_ADDRESS: Final = "unknown"


def address_of(scope: Scope) -> str:
    """The client's address as this middleware found it."""
    found = scope.get(_SCOPE_KEY, UNKNOWN_ADDRESS)
    assert isinstance(found, str)
    return found


class ClientAddressMiddleware:
    """Puts the client's address into the scope.

    X-Forwarded-For counts only when the peer is a trusted proxy. Read from its end, each entry was added by the proxy
    behind it: the first that is no trusted proxy is the client, and everything before it is the client's own word.
    """

    def __init__(self, app: ASGIApp, *, trusted_proxies: Sequence[str]) -> None:
        self._app = app
        self._networks: tuple[IPv4Network | IPv6Network, ...] = tuple(map(ip_network, trusted_proxies))
        self._trusts = lru_cache(maxsize=1_024)(self._is_trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http":
            scope[_SCOPE_KEY] = self._find(scope)
        await self._app(scope, receive, send)

    def _find(self, scope: Scope) -> str:
        peer = scope["client"][0] if scope.get("client") else UNKNOWN_ADDRESS
        if not (self._networks and self._trusts(peer)):
            return str(peer)
        client = str(peer)
        for address in _forwarded(scope):
            if not _is_address(address):
                break
            client = address
            if not self._trusts(address):
                break
        return client

    def _is_trusted(self, peer: str) -> bool:
        return _is_address(peer) and any(ip_address(peer) in network for network in self._networks)


def _forwarded(scope: Scope) -> list[str]:
    """The entries of every X-Forwarded-For, the last one first."""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return [entry.strip() for entry in reversed(",".join(values).split(","))] if values else []


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
