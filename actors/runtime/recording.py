"""From a decision to what must become durable.

Events with their metadata, the state they lead to, and the rows that go with them.
"""

from typing import TYPE_CHECKING, Any

from actors.domain.decision import Context, Decision, Outcome, Rejected
from actors.runtime.delivery import Delivery, encode_reply
from actors.runtime.writes import EVENT_OVERHEAD_BYTES, Write
from persistence.records import IdempotencyRow, NewEvent, ReturnRow

if TYPE_CHECKING:
    from actors.runtime.entity import Entity

STATUS_OK = 0
"""Of a remembered answer: the command did something; refusals are not remembered."""


def record(entity: "Entity", outcome: Outcome, delivery: Delivery, context: Context) -> Write:
    """The write of this outcome. Changes nothing: what raises here leaves the entity as it was.

    Raises `AssertionError` if the state does not count its events.
    """
    type_, envelope, planted = entity.type, delivery.envelope, entity.shard.host.planted
    apply, encode, due_after, returned_by = type_.apply, type_.events.encode, type_.due_after, type_.returns
    state, version, due_ms = entity.working, entity.version, entity.due_ms
    events: list[NewEvent] = []
    returns: tuple[ReturnRow, ...] = ()
    size_bytes = 0
    for event in outcome.events:
        state = apply(state, event)
        version += 1
        due_ms = due_after(state, event, due_ms)
        name, schema_version, body = encode(event)
        size_bytes += len(body) + EVENT_OVERHEAD_BYTES
        events.append(
            NewEvent(
                entity_type=type_.name,
                entity_id=entity.id,
                version=version,
                type=name,
                schema_version=schema_version,
                body=body,
                command_id=envelope.command_id,
                correlation_id=envelope.correlation_id,
                causation_id=envelope.causation_id,
                traceparent=envelope.traceparent,
                at_ms=context.earliest_ms,
            )
        )
        returned = returned_by(event, entity.id)
        if returned is not None:
            returns = (*returns, ReturnRow(order_id=returned[0], sku=returned[1]))
    if type_.version(state) != version:
        raise AssertionError(f"{entity.key} is at version {type_.version(state)} after {version} events")
    timer = None
    if due_ms is not None and not planted.timer_lost:
        timer = entity.shard.timers.row_for(entity.key, due_ms)
    return Write(
        entity,
        events=tuple(events),
        state=state,
        version=version,
        due_ms=due_ms,
        timer=timer,
        returns=returns,
        size_bytes=size_bytes,
        idempotency=remembered(delivery, outcome.reply, context.earliest_ms) if isinstance(outcome, Decision) else None,
    )


def remember(entity: "Entity", delivery: Delivery, reply: Any, at_ms: int) -> None:
    """The answer of a keyed command that wrote its events when it was parked: its row follows by itself.

    Nobody waits for it: until it is there the state recognises a repeat.
    """
    row = remembered(delivery, reply, at_ms)
    if row is not None:
        entity.shard.commit(Write(entity, version=entity.version, idempotency=row))


def remembered(delivery: Delivery, reply: Any, at_ms: int) -> IdempotencyRow | None:
    """The row that remembers this answer; None without a key, or for a refusal."""
    key = delivery.envelope.idempotency
    if key is None or isinstance(reply, Rejected):
        return None
    delivery.payload = encode_reply(reply)
    return IdempotencyRow(
        principal=key.principal,
        route=key.route,
        key=key.key,
        fingerprint=key.fingerprint,
        status=STATUS_OK,
        body=delivery.payload,
        at_ms=at_ms,
    )
