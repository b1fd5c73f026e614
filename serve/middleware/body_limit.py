"""Refuses bodies over the limit, declared or chunked, before they are held in memory, and those that dawdle."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.errors import Problem
from serve.problem_handlers import problem_response


class BodyLimitMiddleware:
    """Counts the bytes that arrive.

    A Content-Length over the limit is 413 without reading. A chunked body is 413 as soon as it passes the limit: what
    reads it gets a `Problem`, which becomes the answer. A Content-Length that is no number is 400. A body that is not
    there after `timeout_ms` is 408: the ingress waits for its beginning only, and a request holds a place in a replica.
    """

    def __init__(self, app: ASGIApp, *, bytes_max: int, timeout_ms: int) -> None:
        self._app = app
        self._bytes_max = bytes_max
        self._timeout_s = timeout_ms / 1e3

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
        complete = False
        late_at_s = asyncio.get_running_loop().time() + self._timeout_s

        async def counted() -> Message:
            nonlocal received, complete
            if complete:
                return await receive()  # it waits for the client's end
            try:
                async with asyncio.timeout_at(late_at_s):
                    message = await receive()
            except TimeoutError:
                raise Problem("request-timeout", headers={"Connection": "close"}) from None
            if message["type"] == "http.request":
                complete = not message.get("more_body", False)
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
