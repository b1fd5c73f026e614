"""The OpenAPI document: what the framework derives from the routes, plus roles and problems on every operation."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from serve.auth.access import Access
from serve.errors import PROBLEM_MEDIA_TYPE, PROBLEMS
from serve.openapi_examples import Examples, problem_example
from serve.route import GuardedRoute
from serve.schemas.problem import ProblemOut

VERSION: Final = "1.0.0"
DESCRIPTION: Final = (
    "An e-commerce platform built on actors: no oversell, no lost order, no double charge. "
    "Money is a JSON number with two decimals. Every error is application/problem+json with a stable `code`."
)
_SECURITY_SCHEME: Final = "bearer"
_JSON: Final = "application/json"
_BODY_METHODS: Final = frozenset({"POST", "PUT"})
TAGS: Final = {
    "admin": "What administrators see of the whole shop.",
    "auth": "Registration, login and tokens.",
    "cart": "Carts of accounts and of guests.",
    "catalog": "Products and categories.",
    "health": "Whether the platform works.",
    "inventory": "Stock, and reservations of it.",
    "notifications": "Messages to customers.",
    "orders": "Orders, from placing them to delivery.",
    "payments": "Payments and refunds.",
    "search": "Full-text search with facets, and completions.",
    "users": "Accounts.",
}
"""What a router's tag means, for the document. A router with another tag needs a line here."""

_CODES_OF_STATUS: Final[dict[int, tuple[str, ...]]] = {
    400: ("malformed-json", "malformed-request"),
    401: ("unauthenticated", "invalid-token"),
    403: ("forbidden",),
    404: ("not-found",),
    413: ("body-too-large",),
    415: ("unsupported-media-type",),
    422: ("invalid-fields",),
    429: ("rate-limited",),
    500: ("internal-error",),
    503: ("overloaded", "unavailable", "deadline-exceeded", "outcome-unknown", "store-unavailable"),
}
"""What any route may answer with, besides what it declares by `problems(...)`."""

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
    schemas["Problem"] = problem | {"title": "Problem"}
    components["securitySchemes"] = {_SECURITY_SCHEME: {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    document["x-problem-codes"] = {
        code: {"status": status, "title": title} for code, (status, title) in PROBLEMS.items()
    }
    examples = Examples(schemas)
    for route in app.routes:
        if isinstance(route, GuardedRoute) and route.include_in_schema:
            for method in route.methods or ():
                _complete(document["paths"][route.path_format][method.lower()], route, method, examples)
    used = {tag for item in document["paths"].values() for operation in item.values() for tag in operation["tags"]}
    document["tags"] = [{"name": tag, "description": TAGS[tag]} for tag in sorted(used)]
    return document


def _complete(operation: dict[str, Any], route: GuardedRoute, method: str, examples: Examples) -> None:
    access = route.access
    # The function's name, which is what a generated client calls the method.
    operation["operationId"] = route.name
    operation["x-roles"] = ["public"] if access.public else sorted(role.value for role in access.roles)
    guests = access.public or any(role.value == "guest" for role in access.roles)
    operation["security"] = [*([] if access.public else [{_SECURITY_SCHEME: []}]), *([{}] if guests else [])]
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422", "")):
        del responses["422"]
    _declare_problems(responses, _statuses(route, access, method))
    for status, response in responses.items():
        if headers := _headers(operation, route, status):
            response["headers"] = headers
        if shown := response.get("content", {}).get(_JSON):
            shown["example"] = examples.of_answer(shown["schema"])
    body = operation.get("requestBody", {}).get("content", {}).get(_JSON)
    if body is not None and "anyOf" in body["schema"]:
        # A body that may be left out; null is not a way to do so.
        options = [option for option in body["schema"]["anyOf"] if option.get("type") != "null"]
        body["schema"] = options[0] if len(options) == 1 else {"anyOf": options}
    if body is not None and not {"example", "examples"} & body.keys():
        body["example"] = examples.of_body(body["schema"])


def _declare_problems(responses: dict[str, Any], statuses: list[int]) -> None:
    """Gives every problem that may be answered its code by name, with an example of it."""
    for status in sorted({*statuses, *(int(status) for status in responses if int(status) >= 400)}):
        declared = responses.get(str(status))
        if declared is not None and PROBLEM_MEDIA_TYPE not in declared.get("content", {}):
            continue
        own = [] if declared is None else declared["description"].split(" / ")
        codes = dict.fromkeys([*own, *(_CODES_OF_STATUS.get(status, ()) if status in statuses else ())])
        responses[str(status)] = _problem_response(list(codes))


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
    statuses = [422, 500, 503]
    if access.limited:
        statuses.append(429)
    if "{" in route.path:
        statuses.append(404)
    if not access.public:
        statuses += [401, 403]
    if method in _BODY_METHODS:
        statuses += [400, 413, 415]
    return sorted(statuses)


def _problem_response(codes: list[str]) -> dict[str, Any]:
    return {
        "description": " / ".join(codes),
        "content": {
            PROBLEM_MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {code: {"summary": PROBLEMS[code][1], "value": problem_example(code)} for code in codes},
            }
        },
    }


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: the refusals of its own, by code. What every route can answer is added by itself."""
    by_status: dict[int | str, list[str]] = {}
    for code in codes:
        by_status.setdefault(PROBLEMS[code][0], []).append(code)
    return {status: _problem_response(listed) for status, listed in by_status.items()}
