"""Refuses bodies over the limit, declared or chunked, before they are held in memory."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.errors import Problem
from serve.problem_handlers import problem_response


class BodyLimitMiddleware:
    """Counts the bytes that arrive.

    A Content-Length over the limit is 413 without reading. A chunked body is 413 as soon as it passes the limit: what
    reads it gets a `Problem`, which becomes the answer. A Content-Length that is no number is 400.
    """

    def __init__(self, app: ASGIApp, *, bytes_max: int) -> None:
        self._app = app
        self._bytes_max = bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await problem_response(refusal, scope["path"])(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > self._bytes_max:
                    raise self._too_large()
            return message

        await self._app(scope, counted, send)

    def _refusal(self, scope: Scope) -> Problem | None:
        for name, value in scope["headers"]:
            if name == b"content-length":
                if not value.isdigit():
                    return Problem("malformed-request", "Content-Length is not a number.")
                if len(value) > len(str(self._bytes_max)) + 1 or int(value) > self._bytes_max:
                    return self._too_large()
        return None

    def _too_large(self) -> Problem:
        return Problem(
            "body-too-large",
            f"A body may have at most {self._bytes_max} bytes.",
            headers={"Connection": "close"},
        )
