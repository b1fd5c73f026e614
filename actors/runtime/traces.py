"""Spans of what a host does for a command: its delivery to the entity, the steps of its saga."""

import asyncio
from typing import Any, Final

import msgspec

from actors.domain.steps import Ask, AskAll, Decide, Together
from cluster.envelope import Envelope
from cluster.tracing import Span, span

_NAMED_IN_TRACES: Final = frozenset({"order", "payment", "sku"})
"""Entity types whose ids open nothing; whoever knows a guest cart's id has the cart."""


def traced_delivery(envelope: Envelope, command: Any, future: "asyncio.Future[Any]") -> Envelope:
    """The envelope with the span of its delivery as the cause of what follows; the span ends with the answer."""
    delivery = span(
        f"{envelope.entity_type} {type(command).__name__}",
        traceparent=envelope.traceparent,
        kind="internal" if envelope.causation_id else "server",
        attributes={"stampede.entity_id": envelope.entity_id} if envelope.entity_type in _NAMED_IN_TRACES else None,
    )
    future.add_done_callback(delivery.end_with)
    return msgspec.structs.replace(envelope, traceparent=delivery.traceparent)


def traced_step(step: Any, origin: Envelope) -> Span:
    """The span of a saga's step; `origin` is the command that the saga began with."""
    return span(f"saga {step_name(step)}", traceparent=origin.traceparent)


def step_name(step: Any) -> str:
    """What a trace calls a step: its label, the command, or its kind (`reserve`, `CreateOrder`, `charge`)."""
    match step:
        case AskAll(label=label) if label:
            return label.partition(":")[0]  # behind it stands whom it is for
        case AskAll(asks=(first, *_)):
            return type(first.command).__name__
        case Ask(command=command) | Decide(command=command):
            return type(command).__name__
        case Together(steps=steps):
            return " + ".join(map(step_name, steps))
        case _:
            return type(step).__name__.lower()
