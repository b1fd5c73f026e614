"""The vocabulary of `decide`: what it is told about a command, and what it may answer.

`decide(state, command, context)` is synchronous and deterministic. It returns a `Decision` (events and an
answer that may leave once they are durable) or `Parked` (the answer needs something this entity does not
have yet: the runtime keeps the command, and decides it again after each commit, or while a saga runs after each of
its steps, and when the saga ends).
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

EVENTS_NONE: tuple[Any, ...] = ()


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What `decide` may know besides state and command.

    The true database time lies in [earliest_ms, latest_ms]: expiry is judged by earliest, deadlines by
    latest. `command_id` names the deed (a repeat has the same), `not_after_ms` bounds when it may run,
    `fingerprint` is the digest of the client's request ("" for internal commands), `actor` who asked, `epoch` that of
    the entity's owner (each owner's is greater than those before).
    """

    earliest_ms: int
    latest_ms: int
    command_id: str
    not_after_ms: int
    fingerprint: str = ""
    actor: str = "system"
    epoch: int = 0

    @property
    def late(self) -> bool:
        """Whether the command's time may be over."""
        return self.latest_ms > self.not_after_ms


class Rejected(msgspec.Struct, frozen=True, tag="rejected"):
    """A refusal: a value, not a fault. `code` is stable and part of the API; `data` is shown with it."""

    code: str
    detail: str = ""
    data: dict[str, Any] = {}


class Decision(msgspec.Struct, frozen=True):
    """Events to journal, and the answer that waits for them. `replayed`: this answers an earlier command."""

    events: Sequence[Any] = EVENTS_NONE
    reply: Any = None
    replayed: bool = False


class Parked(msgspec.Struct, frozen=True):
    """No answer yet: journal `events` (if any), keep the command, and decide it again.

    That is after each commit (while a saga runs: after each of its steps), and when the saga ends. With `begin`, the entity's saga starts with it unless one is running.
    """

    begin: Any = None
    events: Sequence[Any] = EVENTS_NONE


Outcome: TypeAlias = Decision | Parked


def refuse(code: str, detail: str = "", **data: Any) -> Decision:
    """A decision that changes nothing and refuses."""
    return Decision(reply=Rejected(code, detail, data))


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """The answer given to a command without a natural key, kept until no straggler of it can arrive."""

    command_id: str
    until_ms: int
    fingerprint: str
    reply: bytes


REMEMBER_AFTER_DEADLINE_MS = 5_000


def remember(
    recent: tuple[Remembered, ...], context_or_event: "CommandMark", reply: bytes, now_ms: int
) -> tuple[Remembered, ...]:
    """`recent` with this answer added, and without those whose time is over at `now_ms`."""
    kept = tuple(r for r in recent if r.until_ms > now_ms)
    mark = context_or_event
    return (
        *kept,
        Remembered(command_id=mark.command_id, until_ms=mark.until_ms, fingerprint=mark.fingerprint, reply=reply),
    )


class CommandMark(msgspec.Struct, frozen=True, kw_only=True):
    """Carried by an event whose command has no natural key, so that folding it rebuilds what is remembered."""

    command_id: str
    until_ms: int
    fingerprint: str
    actor: str

    @classmethod
    def of(cls, context: Context) -> "CommandMark":
        """The mark of the command being decided."""
        return cls(
            command_id=context.command_id,
            until_ms=context.not_after_ms + REMEMBER_AFTER_DEADLINE_MS,
            fingerprint=context.fingerprint,
            actor=context.actor,
        )


def recall(recent: tuple[Remembered, ...], context: Context) -> Remembered | Rejected | None:
    """What was answered to this command before; `Rejected` if its id was used for another request."""
    for known in recent:
        if known.command_id == context.command_id:
            if known.fingerprint != context.fingerprint:
                return Rejected("idempotency-key-reused", "This Idempotency-Key was used for another request.")
            return known
    return None
