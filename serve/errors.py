"""Every problem the API can answer with: one table from a stable code to its status and title."""

from collections.abc import Mapping
from typing import Final

from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException

from actors.domain.decision import Rejected
from serve.schemas.money import money_number

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"
PROBLEM_TYPE_PREFIX: Final = "urn:stampede:problem:"

PROBLEMS: Final[Mapping[str, tuple[int, str]]] = {
    # The request itself
    "malformed-json": (400, "The body is not valid JSON"),
    "malformed-request": (400, "The request could not be read"),
    "wrong-password": (400, "The current password is wrong"),
    "invalid-signature": (400, "The signature is missing, wrong or too old"),
    "unauthenticated": (401, "A valid token is required"),
    "invalid-credentials": (401, "The e-mail or the password is wrong"),
    "invalid-token": (401, "The token is not valid"),
    "forbidden": (403, "Your role may not do this"),
    "not-found": (404, "There is no such resource"),
    "order-not-found": (404, "There is no such order"),
    "product-not-found": (404, "There is no such product"),
    "item-not-found": (404, "There is no such item in the cart"),
    "reservation-not-found": (404, "There is no such reservation"),
    "payment-not-found": (404, "There is no such payment"),
    "method-not-allowed": (405, "The resource does not support this method"),
    "request-timeout": (408, "The request did not arrive in time"),
    "body-too-large": (413, "The body is too large"),
    "unsupported-media-type": (415, "The body must be application/json"),
    "invalid-fields": (422, "Some fields are not acceptable"),
    "invalid-idempotency-key": (422, "The Idempotency-Key is not acceptable"),
    "idempotency-key-reused": (422, "The Idempotency-Key was used with another request"),
    "ambiguous-sku": (422, "The product has several variants in the cart: name the sku"),
    "too-many-lines": (422, "The cart has no room for more lines"),
    "too-many-units": (422, "The quantity is beyond the limit"),
    "unknown-sku": (422, "Something of it is not for sale"),
    "mixed-currencies": (422, "One order is paid in one currency"),
    "amount-too-large": (422, "The order is worth too much"),
    "refused-data": (422, "The data could not be stored"),
    "rate-limited": (429, "Too many requests"),
    # What the state of things does not allow
    "payment-declined": (402, "The payment was declined"),
    "email-taken": (409, "The e-mail address has an account"),
    "already-exists": (409, "It exists already"),
    "insufficient-stock": (409, "There is not enough stock"),
    "price-changed": (409, "The price has changed"),
    "empty-cart": (409, "The cart is empty"),
    "cart-checked-out": (409, "The cart is being checked out by another order"),
    "illegal-transition": (409, "The order's status does not allow this"),
    "already-paid": (409, "The order is paid"),
    "payment-in-progress": (409, "Another payment of the order is under way"),
    "amount-mismatch": (409, "The amount is not what is due"),
    "over-captured": (409, "The refund is more than what was captured"),
    "already-committed": (409, "The reservation was committed"),
    "held-by-order": (409, "The reservation belongs to an order"),
    "below-reserved": (409, "The stock would fall below what is reserved"),
    "attempt-superseded": (409, "A newer attempt of this order has begun"),
    "attempt-closed": (409, "This attempt is over: repeat the request"),
    "request-in-progress": (409, "A request with this Idempotency-Key is still running"),
    "version-mismatch": (412, "The entity has another version"),
    # The platform
    "internal-error": (500, "Something went wrong on our side"),
    "overloaded": (503, "Too busy: repeat the request"),
    "unavailable": (503, "Not available at the moment: repeat the request"),
    "try-again": (503, "Not done: repeat the same request"),
    "attempt-over": (503, "The attempt took too long: repeat the same request"),
    "deadline-exceeded": (503, "Not done in time: repeat the request"),
    "outcome-unknown": (503, "The outcome is not known: repeat the same request"),
    "store-unavailable": (503, "A store is not available: repeat the request"),
}
"""Refusal or fault code → (status, title). The codes are part of the contract: never rename one."""

CODE_OF_STATUS: Final[Mapping[int, str]] = {
    400: "malformed-request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    413: "body-too-large",
    415: "unsupported-media-type",
    422: "invalid-fields",
    429: "rate-limited",
    503: "unavailable",
}
"""The code of an answer that the framework, not a route, decided on."""

RETRY_AFTER_S: Final = 1
"""What a 503 asks for when nobody knows better."""


_MINOR: Final = "_minor"
_OWN_MEMBERS: Final = frozenset({"type", "title", "status", "detail", "instance", "code"})


class Problem(HTTPException):
    """An answer other than success, as RFC 9457 problem+json.

    `code` is a key of `PROBLEMS`. `extensions` become members of the body (`orderId`, `allowed`, `errors`, …); one whose
    name the RFC has for itself is told apart: an order's `status` becomes `currentStatus`.
    It is the framework's exception too, so that it passes through every layer of it.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, object] | None = None,
    ) -> None:
        status, title = PROBLEMS[code]
        sent = dict(headers or {})
        if status == 401:
            sent.setdefault("WWW-Authenticate", "Bearer")
        if status in {429, 503}:
            sent.setdefault("Retry-After", str(RETRY_AFTER_S))
        super().__init__(status_code=status, detail=detail, headers=sent)
        self.code = code
        self.title = title
        self.extensions = {
            f"current{name.capitalize()}" if name in _OWN_MEMBERS else name: member
            for name, member in (extensions or {}).items()
        }


def invalid_field(pointer: str, detail: str) -> Problem:
    """422 about one member of the body; `pointer` is its JSON pointer, such as `/items/0/quantity`."""
    return Problem("invalid-fields", extensions={"errors": [{"pointer": pointer, "detail": detail}]})


def invalid_parameter(name: str, detail: str) -> Problem:
    """422 about one query parameter."""
    return Problem("invalid-fields", extensions={"errors": [{"parameter": name, "detail": detail}]})


def refused(rejected: Rejected, **extensions: object) -> Problem:
    """An entity's refusal as the answer it becomes; its data and `extensions` are members of the body.

    Names become camelCase, and `…_minor` an amount: `total_minor` is sent as `total` with two decimals.
    """
    members: dict[str, object] = {}
    for name, value in rejected.data.items():
        if name.endswith(_MINOR):
            members[to_camel(name.removesuffix(_MINOR))] = money_number(value)
        else:
            members[to_camel(name)] = value
    members.update(extensions)
    return Problem(rejected.code, rejected.detail, extensions=members)


def not_found() -> Problem:
    """404, the same for what does not exist and for what is somebody else's."""
    return Problem("not-found")
