"""The conventions that hold on every route."""

import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from actors.domain.decision import Rejected
from cluster.errors import DeadlineExceeded, HostUnreachable, LeaseLost, NotMine, Overloaded
from persistence.errors import StoreUnavailable
from serve.app import guarded_routes
from serve.auth.access import AccessNotDeclared, access_of
from serve.errors import CODE_OF_STATUS, PROBLEMS, refused
from serve.problem_handlers import problem_response
from serve.route import GuardedRoute, service_router
from tests.http_app import World, open_world

LOGIN = "/api/v1/auth/login"
JSON = {"Content-Type": "application/json"}


def assert_problem(answer, status: int, code: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["code"] == code
    assert set(body) >= {"type", "title", "status", "detail", "instance", "code"}
    return body


async def test_every_route_declares_its_roles(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        for route in guarded_routes(world.app):
            assert access_of(route.endpoint).roles, route.path


def test_a_route_without_a_declaration_cannot_be_made() -> None:
    router = service_router("unsafe")

    async def endpoint() -> None: ...

    with pytest.raises(AccessNotDeclared):
        router.get("/unsafe")(endpoint)


def test_every_refusal_of_the_domain_has_a_status() -> None:
    found = set()
    for path in Path("actors").rglob("*.py"):
        found |= set(re.findall(r'(?:Rejected|refuse)\(\s*"([a-z-]+)"', path.read_text()))
    assert found
    assert found - set(PROBLEMS) == set()


def test_the_codes_of_framework_answers_have_their_status() -> None:
    for status, code in CODE_OF_STATUS.items():
        assert PROBLEMS[code][0] == status


async def test_unknown_path_is_a_problem(world: World) -> None:
    body = assert_problem(await world.client.get("/no/such/path"), 404, "not-found")
    assert body["instance"] == "/no/such/path"


async def test_a_trailing_slash_is_another_path(world: World) -> None:
    assert_problem(await world.client.get("/api/v1/products/"), 404, "not-found")


async def test_wrong_method_is_a_problem_with_allow(world: World) -> None:
    answer = await world.client.delete("/api/v1/auth/login")
    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"
    for path, allowed in (("orders", "GET, HEAD, POST"), ("products/some", "DELETE, GET, HEAD, PUT")):
        assert (await world.client.patch(f"/api/v1/{path}")).headers["allow"] == allowed


async def test_head_is_get_without_the_body(world: World) -> None:
    for path, status in (("/health", 200), ("/api/v1/categories", 200), ("/api/v1/products/none", 404)):
        got, head = await world.client.get(path), await world.client.head(path)
        assert (head.status_code, head.content) == (status, b"")
        for name in ("content-type", "content-length"):
            assert head.headers[name] == got.headers[name]
    assert_problem(await world.client.get("/api/v1/auth/login"), 405, "method-not-allowed")
    assert (await world.client.head("/api/v1/auth/login")).status_code == 405
    text = (await world.client.get("/metrics")).text
    assert 'method="HEAD",process="http",route="/api/v1/products/{product_id}",status="404"' in text


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1,"a":2}',
        b"[" * 40 + b"]" * 40,
        b"[" * 100_000,
        b"{'a':1}",
        b"1 2",
    ],
)
async def test_malformed_json_is_400(world: World, body: bytes) -> None:
    assert_problem(await world.client.post(LOGIN, content=body, headers=JSON), 400, "malformed-json")


@pytest.mark.parametrize("number", ["1e309", "-1e309", "9" * 400, "1e-400", "0." + "1" * 60])
async def test_numbers_out_of_range_name_their_field(world: World, number: str) -> None:
    body = f'{{"email":{number},"password":"x"}}'.encode()
    problem = assert_problem(await world.client.post(LOGIN, content=body, headers=JSON), 422, "invalid-fields")
    assert problem["errors"][0]["pointer"] == "/email"


@pytest.mark.parametrize("text", ["a\\u0000b", "\\ud800"])
async def test_text_that_no_store_takes_is_422(world: World, text: str) -> None:
    body = f'{{"email":"{text}","password":"x"}}'.encode()
    assert_problem(await world.client.post(LOGIN, content=body, headers=JSON), 422, "invalid-fields")


async def test_unknown_fields_are_refused(world: World) -> None:
    answer = await world.client.post(LOGIN, json={"email": "a@b.co", "password": "x", "role": "admin"})
    problem = assert_problem(answer, 422, "invalid-fields")
    assert problem["errors"][0]["pointer"] == "/role"


async def test_nothing_is_coerced(world: World) -> None:
    answer = await world.client.post(LOGIN, json={"email": 5, "password": ["x"]})
    problem = assert_problem(answer, 422, "invalid-fields")
    assert {error["pointer"] for error in problem["errors"]} == {"/email", "/password"}


async def test_a_missing_body_is_422(world: World) -> None:
    assert_problem(await world.client.post(LOGIN), 422, "invalid-fields")


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/xml", "application/json; charset=latin-1", ""],
)
async def test_another_content_type_is_415(world: World, content_type: str) -> None:
    answer = await world.client.post(LOGIN, content=b"{}", headers={"Content-Type": content_type})
    assert_problem(answer, 415, "unsupported-media-type")


async def test_json_in_utf8_may_say_so(world: World) -> None:
    answer = await world.client.post(LOGIN, content=b"{}", headers={"Content-Type": "application/json; charset=UTF-8"})
    assert_problem(answer, 422, "invalid-fields")


@pytest.mark.parametrize(
    "query",
    [
        "x=1",
        "limit=1&limit=2",
        "limit=0",
        "limit=101",
        "limit=ten",
        "category[$gt]=",
        "cursor=nonsense",
        "sort=colour",
        "minPrice=1e5",
        "minPrice=-1",
        "maxPrice=1.999",
        "category=%00",
        "cursor=",
    ],
)
async def test_bad_queries_name_the_parameter(world: World, query: str) -> None:
    problem = assert_problem(await world.client.get(f"/api/v1/products?{query}"), 422, "invalid-fields")
    assert problem["errors"][0]["parameter"] == query.partition("=")[0]


async def test_a_declared_body_over_the_limit_is_413(world: World) -> None:
    answer = await world.client.post(LOGIN, content=b"x" * 1_048_577, headers=JSON)
    assert_problem(answer, 413, "body-too-large")


async def test_a_chunked_body_over_the_limit_is_413(world: World) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(64):
            sent += 1
            yield b"x" * 65_536

    answer = await world.client.post(LOGIN, content=chunks(), headers=JSON)
    assert_problem(answer, 413, "body-too-large")


async def test_a_body_at_the_limit_is_read(world: World) -> None:
    body = b'{"email":"' + b"x" * (1_048_576 - 12) + b'"}'
    assert_problem(await world.client.post(LOGIN, content=body, headers=JSON), 422, "invalid-fields")


async def test_a_sane_request_id_comes_back_and_another_is_replaced(world: World) -> None:
    kept = await world.client.get("/health", headers={"X-Request-Id": "abc-123"})
    assert kept.headers["x-request-id"] == "abc-123"
    replaced = await world.client.get("/health", headers={"X-Request-Id": "a b<script>"})
    assert len(replaced.headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Overloaded(), "overloaded"),
        (DeadlineExceeded(), "deadline-exceeded"),
        (HostUnreachable(), "outcome-unknown"),
        (LeaseLost(), "unavailable"),
        (NotMine(3), "unavailable"),
        (StoreUnavailable("postgresql://secret"), "store-unavailable"),
    ],
)
async def test_faults_are_503_with_retry_after(
    world: World, fault: Exception, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persistence.memory.catalog.MemoryCatalog.categories", _raising(fault))
    answer = await world.client.get("/api/v1/categories")
    assert_problem(answer, 503, code)
    assert answer.headers["retry-after"] == "1"
    assert "secret" not in answer.text


async def test_a_bug_is_500_and_tells_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persistence.memory.catalog.MemoryCatalog.categories", _raising(KeyError("hunter2")))
    answer = await world.client.get("/api/v1/categories")
    assert_problem(answer, 500, "internal-error")
    assert "hunter2" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"]


def _raising(fault: Exception) -> Callable[..., object]:
    async def fail(*_args: object) -> None:
        raise fault

    return fail


async def test_a_browser_of_a_listed_origin_may_call(tmp_path: Path) -> None:
    async with open_world(tmp_path, http_cors_origins="https://shop.example") as world:
        listed = await world.client.get("/health", headers={"Origin": "https://shop.example"})
        assert listed.headers["access-control-allow-origin"] == "https://shop.example"
        other = await world.client.get("/health", headers={"Origin": "https://shop.example.evil"})
        assert "access-control-allow-origin" not in other.headers
        preflight = await world.client.options(
            "/api/v1/orders", headers={"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
        )
        assert preflight.status_code == 204
        assert "Idempotency-Key" in preflight.headers["access-control-allow-headers"]


async def test_openapi_has_roles_examples_and_problems(world: World) -> None:
    document = (await world.client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    register = document["paths"]["/api/v1/auth/register"]["post"]
    assert register["x-roles"] == ["public"]
    assert "application/problem+json" in register["responses"]["422"]["content"]
    profile = document["paths"]["/api/v1/users/profile"]["get"]
    assert profile["security"] == [{"bearer": []}]
    assert document["components"]["schemas"]["RegisterIn"]["properties"]["email"]["examples"] == ["test@example.com"]
    assert (await world.client.get("/docs")).status_code == 200


async def test_openapi_shows_the_headers(world: World) -> None:
    paths = (await world.client.get("/openapi.json")).json()["paths"]

    def headers(method: str, path: str) -> set[str]:
        return {found["name"] for found in paths[path][method].get("parameters", ()) if found["in"] == "header"}

    assert headers("post", "/api/v1/orders") == {"Idempotency-Key"}
    assert headers("post", "/api/v1/cart/{user_id}/items") == {"Idempotency-Key", "If-Match"}
    assert headers("post", "/api/v1/orders/{order_id}/cancel") == {"Idempotency-Key", "X-Cart-Id"}
    assert headers("delete", "/api/v1/products/{product_id}") == {"If-Match"}
    assert headers("get", "/api/v1/products") == set()
    answers = paths["/api/v1/orders"]["post"]["responses"]
    assert set(answers["202"]["headers"]) == {"Location", "Idempotent-Replayed"}
    assert set(answers["201"]["headers"]) == {"ETag", "Idempotent-Replayed"}
    assert set(answers["503"]["headers"]) == {"Retry-After"}


async def test_docs_and_metrics_are_not_served_in_production(tmp_path: Path) -> None:
    async with open_world(tmp_path, env="production") as world:
        for path in ("/docs", "/openapi.json", "/metrics"):
            assert_problem(await world.client.get(path), 404, "not-found")


async def test_metrics_count_by_route(world: World) -> None:
    await world.client.get("/api/v1/products/none")
    text = (await world.client.get("/metrics")).text
    assert 'route="/api/v1/products/{product_id}",status="404"' in text


async def test_every_guarded_route_is_documented_or_hidden_on_purpose(world: World) -> None:
    paths = world.app.openapi()["paths"]
    hidden = {route.path for route in guarded_routes(world.app) if isinstance(route, GuardedRoute)} - set(paths)
    mailbox = {"/dev/mail", "/dev/mail/{notification_id}", "/dev/mail/{notification_id}/html"}
    assert hidden == {"/metrics", "/docs", "/openapi.json"} | mailbox


def test_a_refusal_becomes_a_problem_with_exact_amounts_and_names_of_its_own() -> None:
    data = {"total_minor": 129_900, "order_id": "ord_1", "orderId": "ord_1", "status": "shipped", "allowed": []}
    problem = refused(Rejected("illegal-transition", "No.", data))
    assert problem.status_code == 409
    body = json.loads(problem_response(problem, "/x").body, parse_float=str)
    assert body["total"] == "1299.00"
    assert (body["orderId"], body["currentStatus"], body["status"], body["allowed"]) == ("ord_1", "shipped", 409, [])
