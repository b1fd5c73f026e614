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

    X-Forwarded-For counts only when the peer is a trusted proxy, and then only its last entry: the one that proxy added.
    Everything before it is the client's own word.
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
        if self._networks and self._trusts(peer):
            for name, value in reversed(scope["headers"]):
                if name == b"x-forwarded-for":
                    forwarded = value.decode("latin-1").rpartition(",")[2].strip()
                    return forwarded if _is_address(forwarded) else peer
        return str(peer)

    def _is_trusted(self, peer: str) -> bool:
        return _is_address(peer) and any(ip_address(peer) in network for network in self._networks)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
