"""The class of every API route: admits the caller first, then reads the request strictly."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import APIRouter, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from serve.auth.access import Access, access_of
from serve.deps import services_of
from serve.errors import Problem, invalid_field, invalid_parameter
from serve.strict_json import parse_strict

API_PREFIX: Final = "/api/v1"


class StrictRequest(Request):
    """A request whose JSON is read by `parse_strict`; a body of another type is 415."""

    async def body(self) -> bytes:
        """The raw body. Raises `Problem` 415 for a body that is not declared as JSON in UTF-8."""
        body = await super().body()
        if body and not _is_json(self.headers.get("content-type", "")):
            raise Problem("unsupported-media-type")
        return body

    async def json(self) -> Any:
        """The parsed body, also kept for the idempotency fingerprint."""
        parsed = parse_strict(await self.body())
        if parsed is None:
            # Where a body may be left out the framework would take null for none at all.
            raise invalid_field("", "The body must be an object.")
        self.state.json_body = parsed
        return parsed


class GuardedRoute(APIRoute):
    """A route that cannot be made without a declaration of who may call it.

    Order: token, rate limit, role; then query names, body, fields. So nobody learns from a 422 about a route that is
    not theirs. Unknown and repeated query parameters are 422.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.access: Access = access_of(endpoint)
        self._literal, brace, _ = path.partition("{")
        self._is_literal = not brace
        super().__init__(path, endpoint, **options)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """The framework's matching, spared where the fixed start of the path already differs (most routes)."""
        if not scope.get("root_path"):
            path = scope["path"]
            if path != self._literal if self._is_literal else not path.startswith(self._literal):
                return Match.NONE, {}
        return super().matches(scope)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's handler behind the guard."""
        inner = super().get_route_handler()
        access = self.access
        names = frozenset(
            field.alias for field in get_flat_params(self.dependant) if isinstance(field.field_info, params.Query)
        )

        async def handle(request: Request) -> Response:
            await services_of(request).guard.admit(request, access)
            if request.scope["query_string"]:
                _check_query(request, names)
            return await inner(StrictRequest(request.scope, request.receive))

        return handle


def service_router(tag: str) -> APIRouter:
    """A router for one service's routes, under `/api/v1`, all of them guarded."""
    return APIRouter(prefix=API_PREFIX, tags=[tag], route_class=GuardedRoute)


def _is_json(content_type: str) -> bool:
    if content_type == "application/json":
        return True
    media_type, _, parameters = content_type.lower().partition(";")
    if media_type.strip() != "application/json":
        return False
    name, _, value = parameters.partition("=")
    return not parameters.strip() or (name.strip() == "charset" and value.strip(' "') in {"utf-8", "utf8"})


def _check_query(request: Request, names: frozenset[str]) -> None:
    seen: set[str] = set()
    for name, value in request.query_params.multi_items():
        if name not in names:
            raise invalid_parameter(name[:100], "There is no such parameter.")
        if name in seen:
            raise invalid_parameter(name, "The parameter is repeated.")
        if "\x00" in value:
            raise invalid_parameter(name, "NUL is not allowed in text.")
        seen.add(name)
