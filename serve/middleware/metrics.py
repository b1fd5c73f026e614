"""Counts and times every request by its route."""

import time
from typing import Final

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.metrics import Metrics
from serve.middleware.request_id import request_id_of
from serve.middleware.request_log import RequestLog

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


class MetricsMiddleware:
    """Observes the time to the start of the answer, and how many requests are in work."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, log: RequestLog) -> None:
        self._app = app
        self._metrics = metrics
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        metrics, log = self._metrics, self._log
        started_s = time.perf_counter()

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                method, route, status = method_of(scope), route_of(scope), message["status"]
                seconds = time.perf_counter() - started_s
                metrics.observe(method, route, status, seconds)
                if seconds >= log.slow_s or status > 500 or log.every:
                    log.note(request_id_of(scope), method, route, status, seconds)
            await send(message)

        metrics.running += 1
        try:
            await self._app(scope, receive, observed)
        finally:
            metrics.running -= 1


def method_of(scope: Scope) -> str:
    """The method, or `other`: a client may send any word."""
    return scope["method"] if scope["method"] in _METHODS else "other"


def route_of(scope: Scope) -> str:
    """The template of the route that was found, or `none`."""
    route = scope.get("route")
    path = getattr(route, "path", None) if isinstance(route, BaseRoute) else None
    return path if isinstance(path, str) else "none"
