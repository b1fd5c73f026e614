"""docs/api.md names every route with its roles and refusals, and every problem code."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from persistence.stores import open_memory_stores
from serve.app import build_app, guarded_routes
from serve.auth.principal import Role
from serve.errors import PROBLEMS
from serve.route import GuardedRoute
from tests.http_app import FakeClock, FakeRefs, settings_for_tests
from tests.unit.docs.pages import Endpoint, endpoints, problem_codes

LETTERS = {Role.GUEST: "G", Role.CUSTOMER: "C", Role.ADMIN: "A", Role.SERVICE: "S"}
HEADERS = {"_read_key": "K", "_expected_versions": "E", "_cart_id": "X"}
Documented = Iterator[tuple[tuple[str, str], GuardedRoute]]


@pytest.fixture
def routes(tmp_path: Path) -> dict[tuple[str, str], GuardedRoute]:
    clock = FakeClock()
    app = build_app(FakeRefs(), open_memory_stores(clock.now_ms), settings_for_tests(tmp_path), clock)
    found = {}
    for route in guarded_routes(app):
        for method in route.methods or ():
            found[method, re.sub(r"{\w+}", ":_", route.path)] = route
    return found


def test_every_problem_code_is_listed_with_its_status() -> None:
    assert problem_codes() == {code: status for code, (status, _) in PROBLEMS.items()}


def test_every_route_is_documented_and_no_other(routes: dict[tuple[str, str], GuardedRoute]) -> None:
    assert set(endpoints()) == set(routes)


def test_each_row_has_the_route_s_roles(routes: dict[tuple[str, str], GuardedRoute]) -> None:
    for at, row in endpoints().items():
        access = routes[at].access
        roles = {"P"} if access.public else {LETTERS[role] for role in access.roles}
        assert row.roles == roles, at


def test_each_row_has_the_route_s_headers(routes: dict[tuple[str, str], GuardedRoute]) -> None:
    for at, row in endpoints().items():
        asked = {getattr(part.call, "__name__", "") for part in routes[at].dependant.dependencies}
        assert row.takes == {letter for name, letter in HEADERS.items() if name in asked}, at


def test_each_row_has_the_route_s_statuses(routes: dict[tuple[str, str], GuardedRoute]) -> None:
    for at, row in endpoints().items():
        assert row.success.startswith(str(routes[at].status_code or 200)), at
        assert ("202" in row.success) == (202 in routes[at].responses), at


def test_each_row_has_the_route_s_refusals(routes: dict[tuple[str, str], GuardedRoute]) -> None:
    for at, row in endpoints().items():
        declared = {
            code
            for status, response in routes[at].responses.items()
            if int(status) >= 400 and response.get("description")
            for code in response["description"].split(" / ")
        }
        assert declared <= row.refusals, at
        assert refusals(row) <= set(PROBLEMS), at


def refusals(row: Endpoint) -> set[str]:
    """Those that are codes; /health and /ready say it in words."""
    return {word for word in row.refusals if re.fullmatch(r"[a-z-]+", word)}
