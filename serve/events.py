"""Events of things without a journal (accounts, products), as routes put them into an outbox."""

import re
from typing import Final

import msgspec
from starlette.requests import Request

from persistence.records import NewEvent
from serve.middleware.request_id import request_id_of

_TRACEPARENT: Final = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def traceparent_of(request: Request) -> str:
    """The caller's W3C trace context, or "" if it sent none that is sane."""
    given = request.headers.get("traceparent", "")
    return given if _TRACEPARENT.fullmatch(given) else ""


def outbox_event(
    request: Request, *, entity_type: str, entity_id: str, version: int, fact: str, body: object, at_ms: int
) -> NewEvent:
    """`entity_type.fact`, such as `user.registered`, at the entity's `version`; `body` becomes JSON.

    The caller keeps e-mail addresses, passwords and tokens out of `body`.
    """
    request_id = request_id_of(request.scope)
    return NewEvent(
        entity_type=entity_type,
        entity_id=entity_id,
        version=version,
        type=f"{entity_type}.{fact}",
        schema_version=1,
        body=msgspec.json.encode(body),
        command_id=request_id,
        correlation_id=request_id,
        causation_id="",
        traceparent=traceparent_of(request),
        at_ms=at_ms,
    )
