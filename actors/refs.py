"""Typed asks for everyone outside the runtime: commands in, replies out, wherever the entity lives."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from actors.runtime.entity_type import EntityType
from cluster.entity_ref import EntityRefs
from cluster.envelope import IdempotencyKey
from cluster.tracing import cause, span


class EntityReply(NamedTuple):
    """What an entity answered. `replayed`: the remembered answer of an earlier request with the same key."""

    reply: object
    replayed: bool = False


class TypedRefs:
    """Commands and replies as objects, through the shard region.

    Guarantees: see `Region.ask`. If it raises an error with `may_have_run`, the command may have run: ask again with
    the same `command_id`. A refusal is a reply (`Rejected`), never an exception.
    """

    def __init__(self, refs: EntityRefs, types: Mapping[str, EntityType]) -> None:
        self._refs = refs
        self._types = types
        self._encoder = msgspec.msgpack.Encoder()
        self._decoders = {name: msgspec.msgpack.Decoder(type_.replies) for name, type_ in types.items()}

    async def ask(
        self,
        entity_type: str,
        entity_id: str,
        command: object,
        *,
        command_id: str | None,
        idempotency: IdempotencyKey | None,
        actor: str,
        deadline_ms: int,
    ) -> EntityReply:
        """Send one command and wait for its answer, at most `deadline_ms` (≤ 10 s) from now.

        Without a `command_id` one is made: then only the region's own resends mean the same deed. What runs now
        (`cluster.tracing.cause`) is the cause of everything that follows.
        """
        ref = self._refs.ref(entity_type, entity_id, self._types[entity_type].routing_key(entity_id))
        with span("ask", kind="client") as asked:
            if asked:
                asked.name(f"ask {entity_type} {type(command).__name__}")
            envelope = ref.envelope(
                self._encoder.encode(command),
                command_id=command_id or "",
                correlation_id=cause().correlation_id,
                traceparent=asked.traceparent,
                actor=actor,
                idempotency=idempotency,
                timeout_ms=deadline_ms,
            )
            reply = await ref.ask(envelope)
        return EntityReply(self._decoders[entity_type].decode(reply.payload), reply.replayed)
