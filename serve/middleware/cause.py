"""What a request is the cause of: its id and its trace, from here through the entities' events to whoever reads them.

A client's `traceparent` (W3C Trace Context) is passed on whether or not traces are exported; one that is malformed or
repeated counts as none. If they are exported, the request is a span, named by its route.
"""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cluster.tracing import Span, reset_cause, sane_traceparent, set_cause, span
from serve.middleware.metrics import method_of, route_of
from serve.middleware.request_id import request_id_of

_HEADER: Final = b"traceparent"
# Asked every few seconds by machines: their traces would bury all others.
_UNTRACED: Final = frozenset({"/health", "/ready", "/metrics"})


class CauseMiddleware:
    """Stands right inside of the request's id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = _given(scope)
        begins = scope["path"] not in _UNTRACED
        request = span("HTTP", traceparent=given, kind="server", begins=begins)
        token = set_cause(request_id_of(scope), request.traceparent)
        try:
            if request:
                await self._traced(request, scope, receive, send)
            else:
                await self._app(scope, receive, send)
        finally:
            reset_cause(token)

    async def _traced(self, request: Span, scope: Scope, receive: Receive, send: Send) -> None:
        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                route, status = route_of(scope), message["status"]
                request.name(f"{method_of(scope)} {route}")
                request.set("http.route", route)
                request.set("http.response.status_code", status)
                if status >= 500:
                    request.fail(str(status))
            await send(message)

        request.set("http.request.method", method_of(scope))
        request.set("url.scheme", scope.get("scheme", "http"))
        request.set("stampede.request_id", request_id_of(scope))
        with request:
            await self._app(scope, receive, observed)


def _given(scope: Scope) -> str:
    found = [value for name, value in scope["headers"] if name == _HEADER]
    return sane_traceparent(found[0].decode("latin-1")) if len(found) == 1 else ""
