"""The host half of an exchange: takes new envelopes, returns whichever replies are ready."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import structlog

from cluster.envelope import Envelope, ReplyEnvelope
from cluster.errors import ClusterError, OutcomeUnknown, Overloaded
from cluster.reply_codes import fault_reply
from cluster.settings import ClusterSettings
from cluster.wire import pack, pack_response, unpack_request

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Session:
    """One client's replies. `turn` counts its exchanges; only the latest may stay parked."""

    turn: int = 0
    ready: deque[bytes] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    used_at_s: float = 0.0


class ExchangeServer:
    """Delivers what arrives, and answers each session with what is ready.

    An exchange returns at once when a reply is ready or its session's next one arrives; else it is parked ≤ 1 s.
    An envelope that arrives again while the same message is in work joins it. Nothing raises to the caller
    but a request that cannot be read (`msgspec.MsgspecError`). A session unused for 30 s is forgotten.
    """

    def __init__(self, deliver: Callable[[Envelope], Awaitable[ReplyEnvelope]], *, settings: ClusterSettings) -> None:
        self._deliver = deliver
        self._settings = settings
        self._sessions: dict[str, _Session] = {}
        self._working: dict[str, list[_Session]] = {}
        self._swept_at_s = 0.0

    async def exchange(self, request: bytes) -> bytes:
        """One exchange; see the class."""
        message = unpack_request(request)
        loop = asyncio.get_running_loop()
        self._sweep(loop.time())
        session = self._sessions.setdefault(message.session, _Session())
        session.used_at_s = loop.time()
        session.turn += 1
        turn = session.turn
        session.wake.set()  # the one that is parked goes home
        session.wake = asyncio.Event()
        for envelope in message.envelopes:
            self._take(session, envelope)
        if not session.ready:
            await self._park(session, turn)
        return self._answer(session)

    def _take(self, session: _Session, envelope: Envelope) -> None:
        message_id = envelope.message_id
        waiting = self._working.get(message_id)
        if waiting is not None:  # resent after a failed exchange, or doubled on the way
            if session not in waiting:
                waiting.append(session)
            return
        if len(self._working) >= self._settings.host_outstanding_max:
            session.ready.append(pack(fault_reply(message_id, Overloaded("too many envelopes at this host"))))
            return
        self._working[message_id] = [session]
        work = asyncio.ensure_future(self._deliver(envelope))
        work.add_done_callback(partial(self._done, message_id))

    def _done(self, message_id: str, work: "asyncio.Future[ReplyEnvelope]") -> None:
        packed = pack(_reply_of(message_id, work))
        for session in self._working.pop(message_id):
            session.ready.append(packed)
            session.wake.set()

    async def _park(self, session: _Session, turn: int) -> None:
        try:
            async with asyncio.timeout(self._settings.exchange_park_ms / 1e3):
                await session.wake.wait()
        except TimeoutError:
            return
        if session.turn == turn:
            await asyncio.sleep(0)  # what one commit answers becomes ready in one turn: take it all

    def _answer(self, session: _Session) -> bytes:
        replies: list[bytes] = []
        size = 0
        while session.ready and len(replies) < self._settings.exchange_envelopes_max:
            if replies and size + len(session.ready[0]) > self._settings.exchange_bytes_max:
                break
            size += len(session.ready[0])
            replies.append(session.ready.popleft())
        return pack_response(replies)

    def _sweep(self, now_s: float) -> None:
        idle_s = self._settings.exchange_session_idle_ms / 1e3
        if now_s - self._swept_at_s < idle_s:
            return
        self._swept_at_s = now_s
        old = [name for name, kept in self._sessions.items() if now_s - kept.used_at_s > idle_s]
        for name in old:
            del self._sessions[name]


def _reply_of(message_id: str, work: "asyncio.Future[ReplyEnvelope]") -> ReplyEnvelope:
    if work.cancelled():
        return fault_reply(message_id, OutcomeUnknown("the host stopped"))
    error = work.exception()
    if error is None:
        return work.result()
    if isinstance(error, ClusterError):
        return fault_reply(message_id, error)
    log.error("exchange.delivery_failed", message_id=message_id, exc_info=error)
    return fault_reply(message_id, OutcomeUnknown("the entity's code failed"))
