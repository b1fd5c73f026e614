"""Turns every exception that reaches the application into one problem+json answer."""

from collections.abc import Mapping, Sequence

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from cluster.errors import ClusterError
from persistence.errors import AlreadyExists, OutcomeUnknown, StaleVersion, StoreError, StoreUnavailable, WriteRefused
from serve.errors import CODE_OF_STATUS, PROBLEM_MEDIA_TYPE, PROBLEM_TYPE_PREFIX, PROBLEMS, Problem, not_found


def problem_response(problem: Problem, instance: str) -> Response:
    """The answer for one problem; `instance` is the path that was asked for."""
    body: dict[str, object] = {
        "type": f"{PROBLEM_TYPE_PREFIX}{problem.code}",
        "title": problem.title,
        "status": problem.status_code,
        "detail": problem.detail or problem.title,
        "instance": instance,
        "code": problem.code,
        **problem.extensions,
    }
    return Response(
        msgspec.json.encode(body),
        status_code=problem.status_code,
        headers=problem.headers,
        media_type=PROBLEM_MEDIA_TYPE,
    )


def install(app: FastAPI) -> None:
    """Register the handlers. Anything they do not know is left to the last-resort middleware."""
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(ClusterError, _on_cluster)
    app.add_exception_handler(StoreError, _on_store)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    problem = error if isinstance(error, Problem) else _of_framework(error, request)
    return problem_response(problem, request.url.path)


def _of_framework(error: HTTPException, request: Request) -> Problem:
    # The framework's own detail is dropped: it may quote what the client sent.
    code = CODE_OF_STATUS.get(error.status_code, "internal-error")
    headers = {"Allow": _allowed(request)} if error.status_code == 405 else error.headers
    return Problem(code, headers=headers)


def _allowed(request: Request) -> str:
    """Every method of this path; the framework knows of one route's."""
    matching = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    # A path of its own, such as /payments/webhook, is not also an id under /payments/.
    literal = [route for route in matching if "{" not in route.path]
    methods = {method for route in literal or matching for method in route.methods or ()}
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods))


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem_response(_of_validation(error.errors()), request.url.path)


def _of_validation(errors: Sequence[Mapping[str, object]]) -> Problem:
    listed: list[dict[str, str]] = []
    for error in errors:
        location = error["loc"]
        assert isinstance(location, tuple)
        if location[0] == "path":
            return not_found()
        # `input` and `ctx` stay out: they repeat what was sent, and that may be a password.
        detail = str(error["msg"]).removeprefix("Value error, ")
        if location[0] == "body":
            listed.append({"pointer": _pointer(location[1:]), "detail": detail})
        else:
            listed.append({"parameter": str(location[-1]), "detail": detail})
    return Problem("invalid-fields", extensions={"errors": listed})


def _pointer(location: Sequence[object]) -> str:
    """RFC 6901."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


async def _on_cluster(request: Request, error: Exception) -> Response:
    assert isinstance(error, ClusterError)
    code = error.code if error.code in PROBLEMS else "unavailable"
    return problem_response(Problem(code), request.url.path)


async def _on_store(request: Request, error: Exception) -> Response:
    match error:
        case StoreUnavailable():
            code = "store-unavailable"
        case OutcomeUnknown():
            code = "outcome-unknown"
        case StaleVersion():
            code = "version-mismatch"
        case AlreadyExists():
            code = "already-exists"
        case WriteRefused():
            code = "refused-data"
        case _:
            code = "unavailable"
    return problem_response(Problem(code), request.url.path)
