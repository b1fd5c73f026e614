"""Speaking to one entity: builds its envelopes and gives them to the region. Knows no entity type."""

from collections.abc import Callable

from cluster.clock import Clock
from cluster.deadline import not_after_ms
from cluster.envelope import Envelope, IdempotencyKey, ReplyEnvelope
from cluster.keys import EntityAddress
from cluster.region import Region


class EntityRefs:
    """Makes references; one a process. `new_id` must never repeat in the cluster (message ids)."""

    def __init__(self, *, region: Region, clock: Clock, new_id: Callable[[], str], ask_timeout_ms: int = 2_000) -> None:
        self.region = region
        self.clock = clock
        self.new_id = new_id
        self.ask_timeout_ms = ask_timeout_ms

    def ref(self, entity_type: str, entity_id: str, routing_key: str = "") -> "EntityRef":
        """The entity of this type and id; `routing_key` defaults to the id. Raises `ValueError` for a bad key."""
        return EntityRef(self, EntityAddress(entity_type, entity_id, routing_key))


class EntityRef:
    """One entity, wherever it lives. Holds nothing but its address; cheap to make."""

    __slots__ = ("_refs", "address")

    def __init__(self, refs: EntityRefs, address: EntityAddress) -> None:
        self._refs = refs
        self.address = address

    def envelope(  # noqa: PLR0913 - each of these is a field of the envelope
        self,
        payload: bytes,
        *,
        command_id: str = "",
        correlation_id: str = "",
        causation_id: str = "",
        traceparent: str = "",
        actor: str = "",
        idempotency: IdempotencyKey | None = None,
        timeout_ms: int | None = None,
        not_after: int | None = None,
    ) -> Envelope:
        """A first send: a new message id, and a deadline `timeout_ms` (default: ask, 2 s) from now.

        `not_after` (database time, ms) hands on the deadline of the command behind this one instead. `command_id`
        and `correlation_id` default to the message id. Raises `ClockUnknown` before the first sample.
        """
        refs = self._refs
        message_id = refs.new_id()
        if not_after is None:
            not_after = not_after_ms(refs.clock, refs.ask_timeout_ms if timeout_ms is None else timeout_ms)
        return Envelope(
            message_id=message_id,
            command_id=command_id or message_id,
            entity_type=self.address.entity_type,
            entity_id=self.address.entity_id,
            routing_key=self.address.routing_key,
            payload=payload,
            not_after_ms=not_after,
            correlation_id=correlation_id or message_id,
            causation_id=causation_id,
            traceparent=traceparent,
            actor=actor,
            idempotency=idempotency,
        )

    async def ask(self, envelope: Envelope) -> ReplyEnvelope:
        """Send and wait; see `Region.ask` for what it raises."""
        return await self._refs.region.ask(envelope)

    def tell(self, envelope: Envelope) -> None:
        """Send and forget: a hint."""
        self._refs.region.tell(envelope)
