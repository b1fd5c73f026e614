"""The OpenAPI document: what the framework derives from the routes, plus roles and problems on every operation."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from serve.auth.access import Access
from serve.errors import PROBLEM_MEDIA_TYPE, PROBLEMS
from serve.route import GuardedRoute
from serve.schemas.problem import ProblemOut

VERSION: Final = "1.0.0"
DESCRIPTION: Final = (
    "An e-commerce platform built on actors: no oversell, no lost order, no double charge. "
    "Money is a JSON number with two decimals. Every error is application/problem+json with a stable `code`."
)
_SECURITY_SCHEME: Final = "bearer"
_BODY_METHODS: Final = frozenset({"POST", "PUT"})
_TEXT: Final = {"type": "string"}
_HEADERS_OF_STATUS: Final[dict[str, dict[str, Any]]] = {
    "202": {"Location": {"schema": _TEXT, "description": "where to read what became of it"}},
    "401": {"WWW-Authenticate": {"schema": _TEXT}},
    "405": {"Allow": {"schema": _TEXT}},
    "429": {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}},
    "503": {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}},
}


def install(app: FastAPI) -> None:
    """Make `app.openapi()` answer the whole document, built once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _build(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign] # the framework's documented way to extend it


def _build(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    problem = ProblemOut.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    components["securitySchemes"] = {_SECURITY_SCHEME: {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    document["x-problem-codes"] = {
        code: {"status": status, "title": title} for code, (status, title) in PROBLEMS.items()
    }
    for route in app.routes:
        if isinstance(route, GuardedRoute) and route.include_in_schema:
            for method in route.methods or ():
                _complete(document["paths"][route.path_format][method.lower()], route, method)
    return document


def _complete(operation: dict[str, Any], route: GuardedRoute, method: str) -> None:
    access = route.access
    operation["x-roles"] = ["public"] if access.public else sorted(role.value for role in access.roles)
    if not access.public:
        guests = any(role.value == "guest" for role in access.roles)
        operation["security"] = [{_SECURITY_SCHEME: []}, *([{}] if guests else [])]
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422", "")):
        del responses["422"]
    for status in _statuses(route, access, method):
        responses.setdefault(str(status), _problem_response(status))
    for status, response in responses.items():
        if headers := _headers(operation, route, status):
            response["headers"] = headers


def _headers(operation: dict[str, Any], route: GuardedRoute, status: str) -> dict[str, Any]:
    headers = dict(_HEADERS_OF_STATUS.get(status, {}))
    taken = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "header"}
    if status.startswith("2") and "Idempotency-Key" in taken:
        schema = {"type": "string", "enum": ["true"]}
        headers["Idempotent-Replayed"] = {"schema": schema, "description": "there if this is an earlier answer"}
    versioned = "If-Match" in taken or "version" in getattr(route.response_model, "model_fields", ())
    if versioned and status in {"200", "201", "412"}:
        headers["ETag"] = {"schema": _TEXT, "description": "the version of the entity"}
    return headers


def _statuses(route: GuardedRoute, access: Access, method: str) -> list[int]:
    statuses = [422, 503]
    if access.limited:
        statuses.append(429)
    if "{" in route.path:
        statuses.append(404)
    if not access.public:
        statuses += [401, 403]
    if method in _BODY_METHODS:
        statuses += [400, 413, 415]
    return sorted(statuses)


def _problem_response(status: int) -> dict[str, Any]:
    codes = [code for code, (of_status, _) in PROBLEMS.items() if of_status == status]
    return {
        "description": " / ".join(codes),
        "content": {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: the refusals of its own, by code. What every route can answer is added by itself."""
    by_status: dict[int | str, list[str]] = {}
    for code in codes:
        by_status.setdefault(PROBLEMS[code][0], []).append(code)
    return {
        status: {
            "description": " / ".join(listed),
            "content": {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, listed in by_status.items()
    }
