"""Where the simulation reaches into a memory store: before a call does anything, and after it did it.

Hooks get the call's name (`orders.append`, `cluster.claim`, …). A hook may wait (a delay), raise
`StoreUnavailable` before (a drop: nothing written) or raise `OutcomeUnknown` after (written, the answer lost).
Raised before, `WrittenLater` loses the answer and lets the statement run once its `until` is done: the orphan
that a broken connection leaves behind.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from persistence.errors import OutcomeUnknown, WriteRefused

Result = TypeVar("Result")
Hook = Callable[[str], Awaitable[None]]


class WrittenLater(Exception):
    """Raised by a `before` hook: answer *outcome unknown* now, run the statement when `until` is done."""

    def __init__(self, until: Awaitable[None]) -> None:
        super().__init__("the statement runs later")
        self.until = until


@dataclass(slots=True)
class Seams:
    """The hooks of one set of stores. Without hooks no call ever suspends, and all run in program order."""

    before: Hook | None = None
    after: Hook | None = None
    orphans: set[asyncio.Task[None]] = field(default_factory=set)

    async def call(self, name: str, statement: Callable[[], Result]) -> Result:
        """Run `statement`, which is atomic because it never awaits, between the two hooks."""
        if self.before is not None:
            try:
                await self.before(name)
            except WrittenLater as later:
                orphan = asyncio.ensure_future(_run_later(later.until, statement))
                self.orphans.add(orphan)
                orphan.add_done_callback(self.orphans.discard)
                raise OutcomeUnknown(f"{name}: no answer") from None
        result = statement()
        if self.after is not None:
            await self.after(name)
        return result


async def _run_later(until: Awaitable[None], statement: Callable[[], object]) -> None:
    await until
    try:
        statement()
    except WriteRefused:
        return  # nobody waits for this answer any more
