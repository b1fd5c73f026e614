"""The OpenAPI document is complete: whoever reads only it knows how to call every route, and what may come back."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from jsonschema_rs import Draft202012Validator
from pydantic import TypeAdapter

from persistence.stores import open_memory_stores
from serve.app import build_app, guarded_routes
from serve.auth.principal import Role
from serve.errors import PROBLEM_MEDIA_TYPE, PROBLEMS
from serve.openapi import TAGS
from serve.route import GuardedRoute
from serve.strict_json import parse_strict
from tests.http_app import FakeClock, FakeRefs, settings_for_tests
from tests.shop_world import Shop, open_shop

Operation = tuple[str, str, dict[str, Any]]


def application(data_dir: Path) -> FastAPI:
    clock = FakeClock()
    return build_app(FakeRefs(), open_memory_stores(clock.now_ms), settings_for_tests(data_dir), clock)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    return application(tmp_path_factory.mktemp("document"))


@pytest.fixture(scope="module")
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> list[Operation]:
    return [
        (method.upper(), path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def json_contents(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every JSON body of an operation: its own, and its answers'."""
    if "requestBody" in operation:
        yield operation["requestBody"]["content"]["application/json"]
    for response in operation["responses"].values():
        yield from response.get("content", {}).values()


def examples_of(content: dict[str, Any]) -> list[Any]:
    named = [example["value"] for example in content.get("examples", {}).values()]
    return [content["example"]] if "example" in content else named


def test_there_is_a_document(document: dict[str, Any], operations: list[Operation]) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "Stampede"
    assert len(operations) > 40


def test_every_operation_has_a_name_of_its_own_and_words(operations: list[Operation]) -> None:
    names = [operation["operationId"] for _, _, operation in operations]
    assert len(set(names)) == len(names)
    for method, path, operation in operations:
        assert re.fullmatch(r"[a-z][a-z_]+", operation["operationId"]), path
        assert operation["summary"], (method, path)
        assert len(operation["description"]) > 10, (method, path)


def test_every_operation_has_one_tag_that_is_explained(document: dict[str, Any], operations: list[Operation]) -> None:
    explained = {tag["name"]: tag["description"] for tag in document["tags"]}
    used = set()
    for method, path, operation in operations:
        (tag,) = operation["tags"]
        used.add(tag)
        assert explained[tag], (method, path)
    assert used == explained.keys() <= TAGS.keys()


def test_every_operation_says_who_may_call_it(app: FastAPI, document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for route in documented(app):
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            access = route.access
            anonymous = access.public or Role.GUEST in access.roles
            assert ({} in operation["security"]) == anonymous, route.path
            assert ({"bearer": []} in operation["security"]) != access.public, route.path


def test_every_success_has_a_schema_and_an_example(operations: list[Operation]) -> None:
    for method, path, operation in operations:
        successes = {status: each for status, each in operation["responses"].items() if status.startswith("2")}
        assert successes, (method, path)
        for status, response in successes.items():
            if status == "204":
                assert "content" not in response, (method, path)
                continue
            content = response["content"]["application/json"]
            assert content["schema"], (method, path)
            assert examples_of(content), (method, path)


def test_every_operation_declares_its_problems(app: FastAPI, document: dict[str, Any]) -> None:
    for route in documented(app):
        for method in route.methods or ():
            responses = document["paths"][route.path_format][method.lower()]["responses"]
            wanted = {"422", "500", "503"}
            wanted |= set() if route.access.public else {"401", "403"}
            wanted |= {"429"} if route.access.limited else set()
            wanted |= {"404"} if "{" in route.path else set()
            wanted |= {"400", "413", "415"} if method in {"POST", "PUT"} else set()
            assert wanted <= responses.keys(), (method, route.path)


def test_every_problem_is_named_by_its_codes_with_an_example_each(operations: list[Operation]) -> None:
    seen = set()
    for method, path, operation in operations:
        for status, response in operation["responses"].items():
            content = response.get("content", {}).get(PROBLEM_MEDIA_TYPE)
            if content is None:
                continue
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
            codes = response["description"].split(" / ")
            assert list(content["examples"]) == codes, (method, path)
            for code, example in content["examples"].items():
                assert str(PROBLEMS[code][0]) == status == str(example["value"]["status"]), (method, path, code)
            seen |= set(codes)
    # Every code that a client is to decide by is somewhere; the rest never leave the platform, or are nobody's own.
    assert {"payment-declined", "insufficient-stock", "email-taken", "version-mismatch", "rate-limited"} <= seen


def test_every_body_has_an_example_that_its_own_model_takes(app: FastAPI, document: dict[str, Any]) -> None:
    bodies = 0
    for route in documented(app):
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            if "requestBody" not in operation:
                continue
            examples = examples_of(operation["requestBody"]["content"]["application/json"])
            assert examples, (method, route.path)
            if route.body_field is None:
                continue
            bodies += 1
            model = TypeAdapter(route.body_field.field_info.annotation)
            for example in examples:
                model.validate_python(parse_strict(json.dumps(example).encode()))
    assert bodies > 15


def test_every_example_fits_its_schema(document: dict[str, Any], operations: list[Operation]) -> None:
    for method, path, operation in operations:
        for content in json_contents(operation):
            validator = Draft202012Validator({**content["schema"], "components": document["components"]})
            for example in examples_of(content):
                errors = [str(error) for error in validator.iter_errors(example)]
                assert errors == [], (method, path, errors)


def test_every_parameter_has_a_schema_and_a_path_s_is_required(operations: list[Operation]) -> None:
    for method, path, operation in operations:
        declared = operation.get("parameters", [])
        in_path = {parameter["name"] for parameter in declared if parameter["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path)), (method, path)
        for parameter in declared:
            assert parameter["schema"], (method, path)
            assert parameter["in"] != "path" or parameter["required"], (method, path, parameter["name"])


async def test_the_example_of_an_order_is_an_order_that_is_taken(tmp_path: Path) -> None:
    async with open_shop(tmp_path) as shop:
        document = (await shop.client.get("/openapi.json")).json()
        body = document["paths"]["/api/v1/orders"]["post"]["requestBody"]["content"]["application/json"]["example"]
        assert await taken(shop, body)


async def test_a_body_that_may_be_left_out_may_not_be_null(tmp_path: Path) -> None:
    async with open_shop(tmp_path) as shop:
        document = (await shop.client.get("/openapi.json")).json()
        declared = document["paths"]["/api/v1/orders/{order_id}/cancel"]["post"]["requestBody"]
        assert not declared.get("required", False)
        assert declared["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/CancelIn"}
        account = await shop.account()
        path = f"/api/v1/orders/{(await shop.buy(account))['id']}/cancel"
        json_null = {"content": b"null", "headers": {**account.headers, "Content-Type": "application/json"}}
        refused = await shop.client.post(path, **json_null)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "")
        assert (await shop.client.post(path, headers=account.headers)).json()["status"] == "cancelled"


async def taken(shop: Shop, body: dict[str, Any]) -> bool:
    answer = await shop.client.post("/api/v1/orders", json=body)
    return answer.status_code == 201


def documented(app: FastAPI) -> list[GuardedRoute]:
    return [route for route in guarded_routes(app) if route.include_in_schema]
