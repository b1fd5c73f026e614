"""The top loop of a request: what nobody foresaw is logged, and answered with a 500 that tells nothing."""

import traceback

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.errors import Problem
from serve.middleware.request_id import request_id_of
from serve.problem_handlers import problem_response

_log = structlog.get_logger(__name__)


class LastResortMiddleware:
    """Answers 500 for exceptions that no handler knew; the log has the trace under the request's id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            # Neither the message nor local variables: either may hold what the client sent, a password even.
            _log.error(
                "request_failed",
                request_id=request_id_of(scope),
                method=scope["method"],
                error=type(error).__qualname__,
                trace="".join(traceback.format_tb(error.__traceback__)),
            )
            if started:
                raise
            await problem_response(Problem("internal-error"), scope["path"])(scope, receive, send)
