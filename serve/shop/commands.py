"""Commands to entities in a client's name: who is behind them, what makes a repeat the same one, what was answered."""

from dataclasses import dataclass
from typing import TypeVar

import msgspec
from starlette.requests import Request

from actors.domain.decision import Rejected
from actors.registry import ENTITY_TYPES
from cluster.envelope import IdempotencyKey
from serve.deps import EntityReply, Services
from serve.errors import Problem
from serve.idempotency import fingerprint
from serve.shop.refusals import refusal

Answer = TypeVar("Answer")
_DECODERS = {name: msgspec.msgpack.Decoder(type_.replies) for name, type_ in ENTITY_TYPES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandIdentity:
    """`actor` is who is behind a command; whoever repeats `command_id` means the same deed."""

    actor: str
    command_id: str
    idempotency: IdempotencyKey | None = None


def identify(services: Services, request: Request, key: str | None, principal: str) -> CommandIdentity:
    """The identity of the command behind this request.

    The scope of a key is the path as it was asked for: the same key for another order is another command.
    """
    route = f"{request.method} {request.url.path}"
    idempotency = None
    if key is not None:
        idempotency = IdempotencyKey(principal=principal, route=route, key=key, fingerprint=fingerprint(request))
    return CommandIdentity(
        actor=principal, command_id=services.ids.command(principal, route, key), idempotency=idempotency
    )


async def remembered(services: Services, entity_type: str, identity: CommandIdentity) -> EntityReply | None:
    """What an earlier request with this key was answered. Raises `Problem` 422 if that was another request."""
    key = identity.idempotency
    if key is None:
        return None
    service = ENTITY_TYPES[entity_type].service
    source = services.stores.carts if service is None else services.stores.journals[service]
    row = await source.answer(key.principal, key.route, key.key)
    if row is None:
        return None
    if row.fingerprint != key.fingerprint:
        raise Problem("idempotency-key-reused")
    return EntityReply(reply=_DECODERS[entity_type].decode(row.body), replayed=True)


async def command(
    services: Services,
    entity_type: str,
    entity_id: str,
    what: object,
    identity: CommandIdentity,
    *,
    deadline_ms: int | None = None,
) -> EntityReply:
    """The remembered answer of an earlier request, else the entity's. Raises `Problem` or `ClusterError`."""
    known = await remembered(services, entity_type, identity)
    return known or await ask(services, entity_type, entity_id, what, identity, deadline_ms=deadline_ms)


async def ask(
    services: Services,
    entity_type: str,
    entity_id: str,
    what: object,
    identity: CommandIdentity,
    *,
    deadline_ms: int | None = None,
) -> EntityReply:
    """The entity's answer, at most `deadline_ms` (by default that of any ask) from now."""
    return await services.refs.ask(
        entity_type,
        entity_id,
        what,
        command_id=identity.command_id,
        idempotency=identity.idempotency,
        actor=identity.actor,
        deadline_ms=services.settings.ask_timeout_ms if deadline_ms is None else deadline_ms,
    )


def accepted(reply: EntityReply, kind: type[Answer]) -> Answer:
    """The reply of the kind that success has. Raises the `Problem` that a refusal becomes."""
    if isinstance(reply.reply, Rejected):
        raise refusal(reply.reply, replayed=reply.replayed)
    assert isinstance(reply.reply, kind), f"an entity answered {type(reply.reply).__name__}"
    return reply.reply
