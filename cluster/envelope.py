"""What travels between a region and a shard host: commands and their answers, as msgpack."""

from typing import Literal

import msgspec


class IdempotencyKey(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A client's Idempotency-Key in its scope. `fingerprint` is the digest of the canonical request."""

    principal: str
    route: str
    key: str
    fingerprint: str


class Envelope(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One command to one entity.

    `message_id` is new for each first send and the same for each resend. `command_id` names the command:
    whoever repeats it means the same deed. `not_after_ms` (database time) is set at the first send, is at
    most 10 s away and never moves: an entity refuses a later one, so a straggler can do no harm.
    `payload` is the msgpack of the entity type's command union. `routing_key` decides the shard.
    """

    message_id: str
    command_id: str
    entity_type: str
    entity_id: str
    routing_key: str
    payload: bytes
    not_after_ms: int
    correlation_id: str
    causation_id: str = ""
    traceparent: str = ""
    actor: str = ""
    idempotency: IdempotencyKey | None = None


class ReplyEnvelope(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """The answer to the envelope `message_id`.

    `ok`: `payload` is the msgpack of the entity type's reply union (a refusal is a reply too). `error`:
    `payload` is empty, `code` is that of a `ClusterError`, `owner` goes with `not-mine`.
    """

    message_id: str
    kind: Literal["ok", "error"]
    payload: bytes = b""
    code: str = ""
    owner: str | None = None
    replayed: bool = False
