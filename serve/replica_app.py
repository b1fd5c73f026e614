"""The ASGI application of one replica: opened and closed in the event loop that serves its requests."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class ReplicaApp:
    """Opens the application at ASGI's lifespan startup, closes it at shutdown, passes every request on to it.

    Whatever `open_app` yields serves; if it raises, startup fails with that reason and no request is served. The
    application's own lifespan is not called: what it needs open is opened by `open_app`.
    """

    def __init__(self, open_app: Callable[[], AbstractAsyncContextManager[ASGIApp]]) -> None:
        self._open_app = open_app
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            assert self._app is not None, "a request came before the lifespan's startup"
            await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await _expect("lifespan.startup", receive)
        async with self._open_app() as self._app:
            await send({"type": "lifespan.startup.complete"})
            await _expect("lifespan.shutdown", receive)
        await send({"type": "lifespan.shutdown.complete"})


async def _expect(kind: str, receive: Receive) -> None:
    message: Message = await receive()
    if message["type"] != kind:
        raise RuntimeError(f"{kind} expected, {message['type']} received")
