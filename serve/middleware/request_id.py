"""Gives every request an id: the client's if it is sane, else a new one. The answer carries it."""

import re
import secrets
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SCOPE_KEY: Final = "stampede.request_id"
_SANE: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


def request_id_of(scope: Scope) -> str:
    """The request's id; it is the correlation id of everything the request causes."""
    found = scope.get(_SCOPE_KEY, "")
    assert isinstance(found, str)
    return found


class RequestIdMiddleware:
    """Reads or makes X-Request-Id, and returns it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identifier = _given(scope) or secrets.token_hex(16).encode()
        scope[_SCOPE_KEY] = identifier.decode()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", identifier)]
            await send(message)

        await self._app(scope, receive, send_with_id)


def _given(scope: Scope) -> bytes | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE.fullmatch(value):
            return bytes(value)
    return None
