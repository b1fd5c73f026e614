"""Whose address counts when proxies stand between."""

import pytest
from starlette.types import Message, Receive, Scope, Send

from serve.middleware.client_address import ClientAddressMiddleware, address_of


async def found(peer: str, forwarded: list[str], trusted: tuple[str, ...]) -> str:
    seen: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(address_of(scope))

    async def nothing() -> Message:
        raise AssertionError("nothing is to be received")

    async def silent(_message: Message) -> None:
        raise AssertionError("nothing is to be sent")

    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    scope = {"type": "http", "client": (peer, 1), "headers": headers}
    await ClientAddressMiddleware(app, trusted_proxies=trusted)(scope, nothing, silent)
    return seen[0]


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "client"),
    [
        ("9.9.9.9", ["1.1.1.1"], (), "9.9.9.9"),
        ("9.9.9.9", ["1.1.1.1"], ("127.0.0.1",), "9.9.9.9"),
        ("127.0.0.1", ["1.1.1.1"], ("127.0.0.1",), "1.1.1.1"),
        ("127.0.0.1", ["6.6.6.6, 1.1.1.1"], ("127.0.0.1",), "1.1.1.1"),
        ("127.0.0.1", ["6.6.6.6, 1.1.1.1", "10.0.0.7"], ("127.0.0.1", "10.0.0.0/8"), "1.1.1.1"),
        ("127.0.0.1", ["127.0.0.1"], ("127.0.0.1",), "127.0.0.1"),
        ("127.0.0.1", ["nonsense"], ("127.0.0.1",), "127.0.0.1"),
        ("127.0.0.1", [], ("127.0.0.1",), "127.0.0.1"),
    ],
)
async def test_the_client_is_the_last_one_that_is_no_trusted_proxy(
    peer: str, forwarded: list[str], trusted: tuple[str, ...], client: str
) -> None:
    assert await found(peer, forwarded, trusted) == client
