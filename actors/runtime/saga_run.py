"""One run of a saga, and the origin of those that no command began."""

import asyncio
from typing import TYPE_CHECKING, Any

from actors.runtime.host_services import own_envelope
from cluster.envelope import Envelope

if TYPE_CHECKING:
    from actors.runtime.entity import Entity


def own_origin(entity: "Entity", why: str) -> Envelope:
    """The origin of a saga that no command began; deadline 0: nobody waits for it."""
    return own_envelope(entity, f"{why}:{entity.id}", 0)


class SagaRun:
    """One run of an entity's saga. `progress` is volatile: what must survive is in the entity's state."""

    __slots__ = ("background", "cancelled", "entity", "origin", "progress", "task", "woken_at_ms")

    def __init__(
        self,
        entity: "Entity",
        progress: Any,
        origin: Envelope,
        *,
        background: bool,
        woken_at_ms: int | None = None,
    ) -> None:
        self.entity = entity
        self.progress = progress
        self.origin = origin
        self.background = background
        self.woken_at_ms = woken_at_ms
        self.task: asyncio.Task[None] | None = None
        self.cancelled = False

    def cancel(self) -> None:
        """Stop it where it is: what it did is done, what it would do is left to whoever resumes."""
        self.cancelled = True
        if self.task is not None:
            self.task.cancel()
