"""One command on its way through an entity, and whoever waits for its answer."""

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from actors.domain.decision import Rejected
from cluster.envelope import Envelope, ReplyEnvelope
from cluster.errors import ClusterError
from cluster.reply_codes import fault_reply

if TYPE_CHECKING:
    from actors.runtime.entity import Entity
    from actors.runtime.saga_run import SagaRun

NO_BUCKET = -1
_encoder = msgspec.msgpack.Encoder()
Answer = asyncio.Future[Any]
Waiter = tuple[Answer, bool]
"""A future, and whether it is `local`: given objects and exceptions, not reply envelopes."""


def encode_reply(reply: Any) -> bytes:
    """The msgpack of a reply struct; its tag tells its type."""
    return _encoder.encode(reply)


class DeliveryOwner(Protocol):
    """The shard that accepted a delivery."""

    def released(self, delivery: "Delivery") -> None:
        """It has its answer: its place is free."""

    def refused(self, delivery: "Delivery", reply: Any) -> None:
        """It was refused: a copy of its message must be told the same."""


class Delivery:
    """A command with its envelope and the futures that wait for it.

    It is answered exactly once; a second answer is ignored (the first was given when its shard stopped).
    `local` futures get the reply object or a raised `ClusterError`, the others a `ReplyEnvelope` either way.
    A future that its caller cancelled stops nobody else, and the command runs on.
    """

    __slots__ = (
        "attempts",
        "bucket",
        "command",
        "done",
        "entity",
        "envelope",
        "joined",
        "owner",
        "payload",
        "preloaded",
        "saga",
        "touched",
        "waiter",
        "wrote",
    )

    def __init__(
        self, owner: DeliveryOwner, entity: "Entity", envelope: Envelope, command: Any, future: Answer, *, local: bool
    ) -> None:
        self.owner = owner
        self.entity = entity
        self.envelope = envelope
        self.command = command
        self.waiter: Waiter = (future, local)
        self.joined: list[Waiter] | None = None
        self.bucket = NO_BUCKET
        self.attempts = 0
        """How often it was decided on a base that then proved stale, or began a saga that sent it back."""
        self.saga: SagaRun | None = None
        """The saga whose outcome it shares."""
        self.payload: bytes | None = None
        """The encoded reply, once it was needed for a row."""
        self.preloaded = False
        self.touched = False
        """Whether it may have led to something while it was parked: then it is never said not to have run."""
        self.wrote = False
        """Whether it wrote events when it was parked."""
        self.done = False

    @property
    def described(self) -> dict[str, Any]:
        """What a log line says of it."""
        return {
            "entity": self.entity.key,
            "command": type(self.command).__name__,
            "correlation_id": self.envelope.correlation_id,
        }

    def join(self, future: Answer, *, local: bool) -> None:
        """A resend of the same message: one more who waits for the same answer."""
        if self.joined is None:
            self.joined = []
        self.joined.append((future, local))

    def answer(self, reply: Any, *, replayed: bool = False) -> None:
        """The reply, to all who wait."""
        if self.done:
            return
        self._finish(reply.code if isinstance(reply, Rejected) else "ok")
        if isinstance(reply, Rejected) and not self.waiter[1]:
            self.owner.refused(self, reply)
        _reply_to(self.waiter, self, reply, replayed=replayed)
        for waiter in self.joined or ():
            _reply_to(waiter, self, reply, replayed=replayed)

    def fail(self, error: ClusterError) -> None:
        """The fault, to all who wait."""
        if self.done:
            return
        self._finish(f"fault:{error.code}")
        _fail_to(self.waiter, self, error)
        for waiter in self.joined or ():
            _fail_to(waiter, self, error)

    def _finish(self, outcome: str) -> None:
        self.done = True
        self.saga = None
        self.owner.released(self)
        entity = self.entity
        entity.shard.host.metrics.answered(entity.type.name, type(self.command).__name__, outcome)


def _reply_to(waiter: Waiter, delivery: Delivery, reply: Any, *, replayed: bool) -> None:
    future, local = waiter
    if future.done():
        return
    if local:
        future.set_result(reply)
        return
    if delivery.payload is None:
        delivery.payload = encode_reply(reply)
    message_id = delivery.envelope.message_id
    future.set_result(ReplyEnvelope(message_id=message_id, kind="ok", payload=delivery.payload, replayed=replayed))


def _fail_to(waiter: Waiter, delivery: Delivery, error: ClusterError) -> None:
    future, local = waiter
    if future.done():
        return
    if local:
        future.set_exception(error)
    else:
        future.set_result(fault_reply(delivery.envelope.message_id, error))
