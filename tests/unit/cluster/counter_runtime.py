"""A tiny entity runtime for the tests of sharding: journaled counters, fenced appends, repeats recognised by state.

Payloads: `inc` journals an event and answers the new value; a repeated command_id answers what it did. `get` answers
from memory, so only while the lease is proved.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field

from cluster.envelope import Envelope, ReplyEnvelope
from cluster.errors import ClusterError, LeaseLost, NotMine, OutcomeUnknown
from cluster.hashing import shard_of
from cluster.shard_runtime import HostContext, OnLost
from persistence.errors import OutcomeUnknown as StoreOutcomeUnknown
from persistence.errors import StoreUnavailable
from persistence.ports import Journal
from persistence.records import Head, JournalService, NewEvent, ShardBatch


@dataclass(slots=True)
class _Shard:
    epoch: int
    seq: int
    counts: dict[str, int] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    accepting: bool = True
    running: dict[str, "asyncio.Task[ReplyEnvelope]"] = field(default_factory=dict)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class CounterRuntime:
    """See the module. `delivered` keeps every envelope in the order of arrival; `fenced` counts refused appends."""

    def __init__(self, context: HostContext, journal: Journal, shard_count: int, think_s: float = 0.0) -> None:
        self.context = context
        self.on_lost: OnLost = lambda _shard, _epoch: None
        self.delivered: list[Envelope] = []
        self.started: list[tuple[int, int]] = []
        self.drained: list[int] = []
        self.fenced = 0
        self.think_s = think_s
        self._journal = journal
        self._shard_count = shard_count
        self.shards: dict[int, _Shard] = {}

    async def start(self, shard: int, epoch: int, heads: Mapping[JournalService, Head]) -> None:
        assert shard not in self.shards, "started twice"
        assert {head.epoch for head in heads.values()} == {epoch}
        state = _Shard(epoch, heads["orders"].seq)
        for event in await self._journal.read(shard, 0, 1_000_000):
            _apply(state, event.entity_id, event.command_id)
        assert len(state.done) == state.seq
        self.shards[shard] = state
        self.started.append((shard, epoch))

    async def drain(self, shard: int) -> None:
        state = self.shards[shard]
        state.accepting = False
        self.drained.append(shard)
        if state.running:
            await asyncio.wait(list(state.running.values()), timeout=1.0)

    def stop(self, shard: int) -> None:
        state = self.shards.pop(shard, None)
        for task in list(state.running.values()) if state else ():
            task.cancel()

    def deliver(self, envelope: Envelope) -> Awaitable[ReplyEnvelope]:
        self.delivered.append(envelope)
        shard = shard_of(envelope.routing_key, self._shard_count)
        state = self.shards[shard]
        assert state.accepting
        task = state.running.get(envelope.message_id)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._run(shard, state, envelope))
            state.running[envelope.message_id] = task
            task.add_done_callback(lambda _done: state.running.pop(envelope.message_id, None))
        return _answer(task)

    async def _run(self, shard: int, state: _Shard, envelope: Envelope) -> ReplyEnvelope:
        async with state.turn:
            if self.think_s:
                await asyncio.sleep(self.think_s)
            if self.shards.get(shard) is not state:
                raise NotMine(shard)
            key, command = envelope.entity_id, envelope.command_id
            if envelope.payload == b"get" or command in state.done:
                if not self.context.may_answer():
                    raise LeaseLost("not proved")
                value = state.done.get(command, state.counts.get(key, 0))
            else:
                await self._append(shard, state, envelope)
                value = _apply(state, key, command)
                state.seq += 1
            return ReplyEnvelope(message_id=envelope.message_id, kind="ok", payload=str(value).encode())

    async def _append(self, shard: int, state: _Shard, envelope: Envelope) -> None:
        event = NewEvent(
            entity_type="counter",
            entity_id=envelope.entity_id,
            version=state.counts.get(envelope.entity_id, 0) + 1,
            type="Incremented",
            schema_version=1,
            body=b"{}",
            command_id=envelope.command_id,
            correlation_id="",
            causation_id="",
            traceparent="",
            at_ms=1,
        )
        batch = ShardBatch(shard=shard, epoch=state.epoch, expected_seq=state.seq, low_water=0, events=(event,))
        try:
            written = await self._journal.append([batch])
        except StoreUnavailable:
            raise ClusterError("the journal is not there") from None
        except StoreOutcomeUnknown:
            self._doubt(shard, state)
            raise OutcomeUnknown("no answer") from None
        if not written:
            self.fenced += 1
            self._doubt(shard, state)
            raise OutcomeUnknown("fenced")

    def _doubt(self, shard: int, state: _Shard) -> None:
        if self.shards.get(shard) is state:
            del self.shards[shard]
            self.on_lost(shard, state.epoch)


def _apply(state: _Shard, key: str, command: str) -> int:
    state.counts[key] = state.counts.get(key, 0) + 1
    state.done[command] = state.counts[key]
    return state.counts[key]


async def _answer(task: "asyncio.Task[ReplyEnvelope]") -> ReplyEnvelope:
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if task.cancelled():
            raise OutcomeUnknown("the shard stopped") from None
        raise
