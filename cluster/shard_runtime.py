"""What sharding asks of the thing that runs entities, and what it offers that thing in return."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cluster.envelope import Envelope, ReplyEnvelope
from persistence.records import Head, JournalService

if TYPE_CHECKING:
    from cluster.clock import Clock
    from cluster.region import Region

OnLost = Callable[[int, int], None]
"""`(shard, epoch)`: an append of this epoch was refused (we may have been fenced) or got no answer."""


class ShardRuntime(Protocol):
    """Runs the entities of the shards it was given. `cluster.ownership` is its only caller.

    A shard goes start → (running) → drain → stop, or start → stop at any moment. `start` is never called
    for a shard that was not stopped since. All calls come from one event loop.
    """

    on_lost: OnLost
    """Set by the owner before the first `start`. The runtime calls it at most once for each (shard, epoch),
    after it stopped that shard itself; the owner claims and fences again, and calls `start` with a higher
    epoch, or leaves the shard to another host."""

    async def start(self, shard: int, epoch: int, heads: Mapping[JournalService, Head]) -> None:
        """Recover and serve a shard that was claimed and fenced at `epoch`; `heads` are the fenced heads.

        Returns when envelopes may be delivered. Raises `StoreError` if the journals could not be read: the
        shard is then not started, and the owner tries again with a higher epoch. May be cancelled.
        """

    async def drain(self, shard: int) -> None:
        """Stop accepting, let what is in flight settle (≤ 1 s), flush, passivate. Bounded; then `stop` follows.

        The owner holds back new envelopes meanwhile. Raises nothing for what could not be flushed: its
        waiters get *outcome unknown*.
        """

    def stop(self, shard: int) -> None:
        """Forget the shard at once: memory dropped, queued writes purged, waiters told *outcome unknown*.

        Does nothing for a shard that is not there. Does not call `on_lost`.
        """

    def deliver(self, envelope: Envelope) -> Awaitable[ReplyEnvelope]:
        """Give an envelope to its entity. Called only for started shards.

        The awaitable (best a plain Future: it is then awaited without a task of its own) yields the reply
        when all that the reply rests on is committed. Faults are replies of kind `error`, or `ClusterError`s
        raised. It is never cancelled by a caller that lost patience.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class HostContext:
    """What a runtime gets from its host.

    `may_answer()` must be true at the moment an answer from memory (one that no append of its own proves) leaves
    the shard; otherwise answer `lease-lost`. `region` carries commands to other entities.
    """

    host: str
    clock: "Clock"
    region: "Region"
    may_answer: Callable[[], bool]


RuntimeFactory = Callable[[HostContext], ShardRuntime]
