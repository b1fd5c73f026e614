"""Events of things without a journal (accounts, products), as routes put them into an outbox."""

from typing import NamedTuple

import msgspec
from starlette.requests import Request

from cluster import tracing
from persistence.records import NewEvent
from serve.middleware.request_id import request_id_of


class Cause(NamedTuple):
    """What an event comes from: the id of a request, or of a command of the command line, and its trace context."""

    id: str
    traceparent: str = ""


def cause_of(request: Request) -> Cause:
    """The request as the cause of events."""
    return Cause(request_id_of(request.scope), tracing.cause().traceparent)


def outbox_event(
    request: Request, *, entity_type: str, entity_id: str, version: int, fact: str, body: object, at_ms: int
) -> NewEvent:
    """`event_of`, caused by a request."""
    return event_of(
        cause_of(request),
        entity_type=entity_type,
        entity_id=entity_id,
        version=version,
        fact=fact,
        body=body,
        at_ms=at_ms,
    )


def event_of(
    cause: Cause, *, entity_type: str, entity_id: str, version: int, fact: str, body: object, at_ms: int
) -> NewEvent:
    """`entity_type.fact`, such as `user.registered`, at the entity's `version`; `body` becomes JSON.

    The caller keeps e-mail addresses, passwords and tokens out of `body`.
    """
    return NewEvent(
        entity_type=entity_type,
        entity_id=entity_id,
        version=version,
        type=f"{entity_type}.{fact}",
        schema_version=1,
        body=msgspec.json.encode(body),
        command_id=cause.id,
        correlation_id=cause.id,
        causation_id="",
        traceparent=cause.traceparent,
        at_ms=at_ms,
    )
