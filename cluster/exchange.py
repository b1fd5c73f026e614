"""The client half of an exchange: envelopes to one host travel in batches, replies come back as they are ready."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
import structlog

from cluster.envelope import Envelope, ReplyEnvelope
from cluster.errors import ClusterError, HostUnreachable
from cluster.observability import ClusterMetrics
from cluster.settings import ClusterSettings
from cluster.tasks import TaskOwner
from cluster.wire import pack, pack_request, unpack_response

log = structlog.get_logger(__name__)

EXCHANGES_OUTSTANDING_MAX = 2


class NotSent(ClusterError):
    """The envelope was still waiting for its first exchange. Definite: it did not run."""

    code = "not-sent"


@dataclass(slots=True, eq=False)
class _Entry:
    message_id: str
    packed: bytes
    reply: "asyncio.Future[ReplyEnvelope]"
    sent: bool = False


class ExchangeClient:
    """One process's standing exchange with one host.

    At most two exchanges are outstanding, ≤ 256 envelopes and 1 MiB each. The host parks the second until a
    reply is ready, or the next arrives; while nothing is outstanding there is none. If one fails, every envelope
    that was sent and not answered is unknown (`HostUnreachable`), the others are `NotSent`, and a new session begins.
    """

    def __init__(
        self,
        *,
        call: Callable[[bytes], Awaitable[bytes]],
        new_session: Callable[[], str],
        settings: ClusterSettings,
        metrics: ClusterMetrics,
    ) -> None:
        """`call` carries one exchange; it raises `HostUnreachable`, and has a deadline of its own."""
        self._call = call
        self._new_session = new_session
        self._envelopes_max = settings.exchange_envelopes_max
        self._bytes_max = settings.exchange_bytes_max
        self._metrics = metrics
        self._tasks = TaskOwner()
        self._session = new_session()
        self._queue: deque[_Entry] = deque()
        self._sent: dict[str, _Entry] = {}
        self._outstanding = 0
        self._pump_due = False

    @property
    def idle(self) -> bool:
        """Whether nobody waits for anything here."""
        return not self._queue and not self._sent and not self._outstanding

    async def ask(self, envelope: Envelope, timeout_s: float) -> ReplyEnvelope:
        """Send and wait; an unsent envelope is withdrawn when the caller gives up.

        Raises `HostUnreachable` (it was sent: outcome unknown) or `NotSent` (definite) when an exchange failed or
        `timeout_s` passed, `ValueError` for an envelope that is larger than a whole exchange may be.
        """
        if envelope.message_id in self._sent:
            raise NotSent(f"message {envelope.message_id} is outstanding already")
        packed = pack(envelope)
        if len(packed) > self._bytes_max:
            raise ValueError(f"an envelope has at most {self._bytes_max} bytes, this one has {len(packed)}")
        loop = asyncio.get_running_loop()
        entry = _Entry(envelope.message_id, packed, loop.create_future())
        self._queue.append(entry)
        if not self._pump_due and self._outstanding < EXCHANGES_OUTSTANDING_MAX:
            self._pump_due = True
            loop.call_soon(self._pump)  # at the end of this turn: what is asked together travels together
        try:
            async with asyncio.timeout(timeout_s):
                return await entry.reply
        except TimeoutError:
            if entry.sent:
                raise HostUnreachable("no reply within the deadline") from None
            raise NotSent("the deadline passed before the first exchange") from None
        finally:
            if self._sent.get(entry.message_id) is entry:
                del self._sent[entry.message_id]
            entry.reply.cancel()

    async def close(self) -> None:
        """Fail what is outstanding and stop."""
        self._fail(HostUnreachable("the region stopped"))
        await self._tasks.close()

    def _pump(self) -> None:
        self._pump_due = False
        while self._outstanding < EXCHANGES_OUTSTANDING_MAX:
            batch = self._next_batch()
            if not batch and (not self._sent or self._outstanding):
                return
            self._outstanding += 1
            self._metrics.batch_envelopes.observe(len(batch))
            request = pack_request(self._session, [entry.packed for entry in batch])
            self._tasks.spawn(self._exchange(self._session, request), "exchange")

    def _next_batch(self) -> list[_Entry]:
        batch: list[_Entry] = []
        size = 0
        while self._queue and len(batch) < self._envelopes_max:
            entry = self._queue[0]
            if not entry.reply.done():
                if batch and size + len(entry.packed) > self._bytes_max:
                    break
                size += len(entry.packed)
                entry.sent = True
                self._sent[entry.message_id] = entry
                batch.append(entry)
            self._queue.popleft()
        return batch

    async def _exchange(self, session: str, request: bytes) -> None:
        try:
            response = unpack_response(await self._call(request))
        except (HostUnreachable, msgspec.MsgspecError) as error:
            self._metrics.exchanges.labels("failed").inc()
            if session == self._session:  # the first of two that fail tells of both
                self._fail(HostUnreachable(str(error)))
        else:
            self._metrics.exchanges.labels("ok").inc()
            for reply in response.replies:
                entry = self._sent.pop(reply.message_id, None)
                if entry is not None and not entry.reply.done():
                    entry.reply.set_result(reply)
        finally:
            self._outstanding -= 1
        self._pump()

    def _fail(self, error: HostUnreachable) -> None:
        self._session = self._new_session()
        for entry in list(self._sent.values()):
            if not entry.reply.done():
                entry.reply.set_exception(error)
        self._sent.clear()
        for entry in self._queue:
            if not entry.reply.done():
                entry.reply.set_exception(NotSent(str(error)))
        self._queue.clear()
