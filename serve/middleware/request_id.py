"""Gives every request an id: the client's if it is sane, else a new one. The answer carries it, once.

It stands twice in the way of a request: in the application, and (`serve.ingress`) outside of Ray Serve's ingress, which
takes over whatever id a client sends and adds it to the answer beside the application's.
"""

import re
import secrets
from collections.abc import Iterable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADER: Final = b"x-request-id"
_SCOPE_KEY: Final = "stampede.request_id"
_SANE: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


def request_id_of(scope: Scope) -> str:
    """The request's id; it is the correlation id of everything the request causes."""
    found = scope.get(_SCOPE_KEY, "")
    assert isinstance(found, str)
    return found


class RequestIdMiddleware:
    """Reads or makes X-Request-Id, shows it to everything further in, and returns it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name == _HEADER]
        if len(given) == 1 and _SANE.fullmatch(given[0]):
            identifier = given[0]
        else:
            identifier = secrets.token_hex(16).encode()
            scope["headers"] = [*_others(scope["headers"]), (_HEADER, identifier)]
        scope[_SCOPE_KEY] = identifier.decode()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*_others(message.get("headers", ())), (_HEADER, identifier)]
            await send(message)

        await self._app(scope, receive, send_with_id)


def _others(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [header for header in headers if header[0].lower() != _HEADER]
