"""What every shard and entity of a host shares, and what they ask of the machinery around them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from actors.domain.decision import Context
from actors.runtime.entity_type import Checkpoint, EntityType
from actors.runtime.metrics import RuntimeMetrics
from actors.runtime.planted_bugs import NO_BUGS, PlantedBugs
from actors.runtime.refusals import Refusals
from actors.runtime.settings import RuntimeSettings
from cluster.clock import Clock, Interval
from cluster.envelope import Envelope
from cluster.tasks import TaskOwner
from persistence.records import JournalService
from persistence.stores import Stores

if TYPE_CHECKING:
    from actors.runtime.deadlines import DeadlineWheel
    from actors.runtime.entity import Entity
    from actors.runtime.saga_run import SagaRun
    from actors.runtime.shard import Shard
    from actors.runtime.writes import Write


class Committer(Protocol):
    """Makes writes durable, in the order in which they came, many at once."""

    def enqueue(self, write: "Write") -> None:
        """Take it along with the next statement."""

    def forget_entity(self, entity: "Entity") -> None:
        """Drop what is queued for this entity: it will never be sent."""

    def forget_shard(self, shard: "Shard") -> None:
        """Drop what is queued for this shard: it will never be sent."""


class Loader(Protocol):
    """Reads what entities wake up with."""

    def request(self, entity: "Entity") -> None:
        """Load it with the next query, then call its `activate`, or close it if the store cannot be read."""


class Sagas(Protocol):
    """Runs the sagas of all entities."""

    def begin(self, entity: "Entity", begin: Any, context: Context, origin: Envelope) -> "SagaRun":
        """Start the saga that a parked command asks for. Raises `Overloaded`."""

    def resume(self, entity: "Entity") -> None:
        """Carry on with an unfinished state, when there is room."""

    def wake(self, entity: "Entity", begin: Any, now: Interval) -> None:
        """Start the saga that a due time asks for, when there is room."""


@dataclass(frozen=True, slots=True)
class Kind:
    """An entity type as the runtime uses it: with what is worked out once."""

    type: EntityType
    decoder: "msgspec.msgpack.Decoder[Any]"
    snapshots: bool
    """Whether its state survives in snapshots."""

    @classmethod
    def of(cls, type_: EntityType) -> "Kind":
        """Builds the decoder of its commands."""
        return cls(type_, msgspec.msgpack.Decoder(type_.commands), type_.checkpoint is Checkpoint.SNAPSHOT)


@dataclass(slots=True, kw_only=True)
class HostServices:
    """One per host. `wire` puts in what needs the others to exist first."""

    settings: RuntimeSettings
    clock: Clock
    may_answer: Callable[[], bool]
    stores: Stores
    kinds: Mapping[str, Kind]
    wheel: "DeadlineWheel"
    planted: PlantedBugs = NO_BUGS
    tasks: TaskOwner = field(default_factory=TaskOwner)
    refusals: Refusals = field(default_factory=Refusals)
    metrics: RuntimeMetrics = field(default_factory=RuntimeMetrics)
    commands: int = 0
    """Commands without an answer."""
    loader: Loader = field(init=False)
    sagas: Sagas = field(init=False)
    journal_committers: Mapping[JournalService, Committer] = field(init=False)
    cart_committer: Committer = field(init=False)
    lose: "Callable[[Shard], None]" = field(init=False)
    """Stop a shard whose memory may be ahead of, or behind, its journal, and tell the cluster."""

    def committer(self, type_: EntityType) -> Committer:
        """Who makes this type's events durable."""
        if type_.checkpoint is Checkpoint.COMPARE_AND_SET:
            return self.cart_committer
        assert type_.service is not None, f"{type_.name} is journaled: it needs a service"
        return self.journal_committers[type_.service]


def context_of(envelope: Envelope, now: Interval, epoch: int) -> Context:
    """What `decide` is told about this envelope at this time, by the shard's owner of this epoch."""
    return Context(
        earliest_ms=now.earliest_ms,
        latest_ms=now.latest_ms,
        command_id=envelope.command_id,
        not_after_ms=envelope.not_after_ms,
        fingerprint=envelope.idempotency.fingerprint if envelope.idempotency is not None else "",
        actor=envelope.actor or "system",
        epoch=epoch,
    )


def own_envelope(entity: "Entity", command_id: str, not_after_ms: int, origin: Envelope | None = None) -> Envelope:
    """The envelope of what an entity tells itself; `origin` is the command that led to it."""
    return Envelope(
        message_id="",
        command_id=command_id,
        entity_type=entity.type.name,
        entity_id=entity.id,
        routing_key="",
        payload=b"",
        not_after_ms=not_after_ms,
        correlation_id=origin.correlation_id if origin is not None else command_id,
        causation_id=origin.command_id if origin is not None else "",
        traceparent=origin.traceparent if origin is not None else "",
        actor=origin.actor if origin is not None else "",
    )
