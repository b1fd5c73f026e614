"""Examples of bodies and answers, made from the examples, defaults and bounds that their schemas have."""

from collections.abc import Mapping
from typing import Any, Final

from serve.errors import PROBLEM_TYPE_PREFIX, PROBLEMS

_TEXT: Final = "text"
_PATH: Final = "/api/v1/orders"
_TIME: Final = "2026-01-31T12:00:00.250Z"
_USER: Final = "usr_7f9c24e5d1a84b6f9b1e6a0c3d2f4e58"
_NAMED: Final[Mapping[str, Any]] = {
    # Request bodies
    "carrier": "DHL",
    "last_name": "User",
    "new_password": "correct horse",
    "reason": "Changed my mind",
    "refresh_token": "kq3v1W0n5c6xJ2u8",
    "reservationId": "ext:kq3v1w0n5c6xj2u8",
    "token": "eyJhbGciOiJIUzI1NiIs...",
    "trackingNumber": "JD014600003",
    # Answers
    "actor": _USER,
    "address": "203.0.113.7",
    "city": "Springfield",
    "cursor": None,
    "detail": "",
    "host": "host-1",
    "id": "id-1",
    "incarnation": "18eaf44966d25aa4",
    "line1": "1 Main Street",
    "line2": None,
    "nextCursor": None,
    "node": "node-1",
    "owner": "host-1",
    "paymentId": "pay_" + "a" * 24,
    "phone": "+1 555 0100",
    "postalCode": "12345",
    "process": "consumers",
    "role": "customer",
    "total": None,
    "userId": _USER,
    "user_id": _USER,
    "email": "test@example.com",
}
"""What a member of this name looks like when its schema gives no example of its own."""

Schema = Mapping[str, Any]


class Examples:
    """Makes examples of schemas that refer to the document's components."""

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self._schemas = schemas

    def of_body(self, schema: Schema) -> Any:
        """A typical request: what is required, and what has an example of its own."""
        return self._of(schema, whole=False)

    def of_answer(self, schema: Schema) -> Any:
        """An answer with all its members."""
        return self._of(schema, whole=True)

    def _of(self, schema: Schema, *, whole: bool) -> Any:
        given = _given(schema)
        if given is not None:
            return given
        if "$ref" in schema:
            return self._of(self._resolve(schema), whole=whole)
        if "anyOf" in schema:
            return self._of(self._chosen(schema["anyOf"]), whole=whole)
        if "allOf" in schema:
            return self._of(schema["allOf"][0], whole=whole)
        match schema.get("type"):
            case "object":
                return self._of_object(schema, whole=whole)
            case "array":
                return [self._of(schema["items"], whole=whole)] if "items" in schema else []
            case "integer":
                return max(1, int(schema.get("minimum", 1)))
            case "number":
                return max(1.0, float(schema.get("minimum", 1)))
            case "boolean":
                return True
            case "string":
                return _TEXT
            case _:
                return None

    def _of_object(self, schema: Schema, *, whole: bool) -> dict[str, Any]:
        required = schema.get("required", ())
        return {
            name: self._of_member(name, member, whole=whole)
            for name, member in schema.get("properties", {}).items()
            if whole or name in required or name in _NAMED or self._has_example(member)
        }

    def _of_member(self, name: str, schema: Schema, *, whole: bool) -> Any:
        example = self._of(schema, whole=whole)
        if example not in {_TEXT, ""} if isinstance(example, str) else example is not None:
            return example
        if name.endswith(("At", "_at", "asOf")):
            return _TIME
        return _NAMED.get(name, example)

    def _has_example(self, schema: Schema) -> bool:
        if "anyOf" in schema:
            return bool(schema.get("examples")) or self._has_example(self._chosen(schema["anyOf"]))
        return bool(schema.get("examples"))

    def _chosen(self, options: list[Schema]) -> Schema:
        return next((option for option in options if option.get("type") != "null"), options[0])

    def _resolve(self, schema: Schema) -> Schema:
        return self._schemas[schema["$ref"].rpartition("/")[2]]


def _given(schema: Schema) -> Any:
    for name in ("examples", "enum"):
        if schema.get(name):
            return schema[name][0]
    if "const" in schema:
        return schema["const"]
    return schema.get("default")


def problem_example(code: str) -> dict[str, Any]:
    """The problem with this code, as a route of orders would answer it."""
    status, title = PROBLEMS[code]
    example: dict[str, Any] = {
        "type": f"{PROBLEM_TYPE_PREFIX}{code}",
        "title": title,
        "status": status,
        "detail": title,
        "instance": _PATH,
        "code": code,
    }
    if code == "invalid-fields":
        example["errors"] = [{"pointer": "/items/0/quantity", "detail": "Input should be greater than 0"}]
    return example
