"""The door of a host: which shards are served here, and what happens to an envelope for each.

               recover                serve
    ABSENT ─────────────► RECOVERING ───────► RUNNING ──────► MOVING
      ▲ ▲                   │   ▲ ▲  doubted     │              │ │
      │ ╰───────────────────╯   │ ╰──────────────┤              │ │
      │        gone             ╰────────────────┼──────────────╯ │ not handed off
      ╰──────────────────────────────────────────┴────────────────╯ handed off, lost

ABSENT answers *not-mine*, RUNNING delivers, the other two hold the envelope until one of these is reached.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from cluster.clock import Clock
from cluster.deadline import remaining_ms
from cluster.envelope import Envelope, ReplyEnvelope
from cluster.errors import DeadlineExceeded, LeaseLost, NotMine, Overloaded
from cluster.hashing import shard_of
from cluster.reply_codes import fault_reply
from cluster.shard_runtime import ShardRuntime


class Phase(Enum):
    """Where a shard stands on this host."""

    ABSENT = "absent"
    RECOVERING = "recovering"
    RUNNING = "running"
    MOVING = "moving"


_LEGAL: dict[Phase, frozenset[Phase]] = {
    Phase.ABSENT: frozenset({Phase.RECOVERING, Phase.ABSENT}),
    Phase.RECOVERING: frozenset({Phase.RUNNING, Phase.ABSENT}),
    Phase.RUNNING: frozenset({Phase.RECOVERING, Phase.MOVING, Phase.ABSENT}),
    Phase.MOVING: frozenset({Phase.RECOVERING, Phase.ABSENT}),
}


@dataclass(slots=True)
class Slot:
    """One shard as this host sees it. `owner` is who has it instead, as far as we know."""

    phase: Phase = Phase.ABSENT
    epoch: int = 0
    owner: str | None = None
    settled: "asyncio.Future[None] | None" = None


class ShardGate:
    """Lets envelopes through to the runtime while their shard is served here.

    Guarantees: nothing is delivered to a shard that is not RUNNING, nor while the lease cannot be proved. What
    the gate itself answers is definite: the envelope did not run.
    """

    def __init__(
        self,
        *,
        runtime: ShardRuntime,
        clock: Clock,
        may_answer: Callable[[], bool],
        on_stranger: Callable[[], None],
        shard_count: int,
        waiting_max: int,
    ) -> None:
        """`on_stranger` is called for each envelope of an ABSENT shard: the table may have news for us."""
        self._runtime = runtime
        self._clock = clock
        self._may_answer = may_answer
        self._on_stranger = on_stranger
        self._shard_count = shard_count
        self._waiting_max = waiting_max
        self._waiting = 0
        self._slots = [Slot() for _ in range(shard_count)]

    def slot(self, shard: int) -> Slot:
        """The shard's slot, to read."""
        return self._slots[shard]

    def in_phase(self, *phases: Phase) -> list[int]:
        """The shards in one of these phases, ascending."""
        return [shard for shard, slot in enumerate(self._slots) if slot.phase in phases]

    def deliver(self, envelope: Envelope) -> Awaitable[ReplyEnvelope]:
        """The reply of the envelope's entity, or a fault. Must be awaited, or given to a task, at once."""
        shard = shard_of(envelope.routing_key, self._shard_count)
        if self._slots[shard].phase is Phase.RUNNING and self._may_answer():
            return self._runtime.deliver(envelope)
        return self._deliver_later(envelope, shard)

    async def _deliver_later(self, envelope: Envelope, shard: int) -> ReplyEnvelope:
        slot = self._slots[shard]
        if slot.settled is not None:
            if self._waiting >= self._waiting_max:
                return fault_reply(envelope.message_id, Overloaded(f"shard {shard} recovers, too many wait"))
            self._waiting += 1
            try:
                async with asyncio.timeout(remaining_ms(self._clock, envelope.not_after_ms) / 1e3):
                    while slot.settled is not None:
                        await asyncio.shield(slot.settled)
            except TimeoutError:
                return fault_reply(envelope.message_id, DeadlineExceeded(f"shard {shard} was not ready in time"))
            finally:
                self._waiting -= 1
        if slot.phase is not Phase.RUNNING:
            self._on_stranger()
            return fault_reply(envelope.message_id, NotMine(shard, slot.owner))
        if not self._may_answer():
            return fault_reply(envelope.message_id, LeaseLost(f"shard {shard}: the lease is not proved"))
        return await self._runtime.deliver(envelope)

    def recovering(self, shard: int) -> None:
        """The shard is being claimed, fenced and recovered."""
        self._enter(shard, Phase.RECOVERING)

    def running(self, shard: int, epoch: int) -> None:
        """The shard is served at this epoch."""
        self._enter(shard, Phase.RUNNING)
        self._slots[shard].epoch = epoch

    def moving(self, shard: int) -> None:
        """The shard is on its way to another host."""
        self._enter(shard, Phase.MOVING)

    def absent(self, shard: int, owner: str | None) -> None:
        """The shard is not ours; `owner` has it, or nobody we know of."""
        self._enter(shard, Phase.ABSENT)
        self._slots[shard].owner = owner

    def _enter(self, shard: int, phase: Phase) -> None:
        slot = self._slots[shard]
        if phase not in _LEGAL[slot.phase]:
            raise AssertionError(f"shard {shard}: {slot.phase.value} → {phase.value}")
        slot.phase = phase
        holds = phase in (Phase.RECOVERING, Phase.MOVING)
        if holds and slot.settled is None:
            slot.settled = asyncio.get_running_loop().create_future()
        elif not holds and slot.settled is not None:
            settled, slot.settled = slot.settled, None
            settled.set_result(None)
