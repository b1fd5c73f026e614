"""The shard region: finds the host of an entity, delivers, and owns every retry."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import structlog

from cluster.clock import Clock
from cluster.deadline import remaining_ms
from cluster.envelope import Envelope, ReplyEnvelope
from cluster.errors import (
    ClusterError,
    DeadlineExceeded,
    HostUnreachable,
    LeaseLost,
    NotMine,
    OutcomeUnknown,
    Overloaded,
)
from cluster.exchange import ExchangeClient, NotSent
from cluster.hashing import shard_of
from cluster.observability import ClusterMetrics
from cluster.reply_codes import fault_of
from cluster.routes import RouteTable
from cluster.settings import ClusterSettings
from cluster.tasks import TaskOwner
from cluster.transport import Transport
from persistence.errors import StoreError
from persistence.ports import Ownership
from persistence.records import HostRow

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Ask:
    """One envelope on its way. `may_have_run` stays true once it is: a later refusal does not undo it."""

    envelope: Envelope
    shard: int
    backoff_ms: int
    may_have_run: bool = False
    stuck_since_s: float | None = None  # no readable table, or no proved lease, since
    failed_at: tuple[str, str] | None = None


class Region:
    """Sends envelopes to entities, wherever their shard lives.

    Guarantees: an envelope is resent unchanged (same `message_id`, same `not_after_ms`) until it is answered or its
    deadline has passed. If `ask` raises an error with `may_have_run`, the command may have run, or may yet before
    `not_after_ms`: repeat it with the same `command_id`. Any other error is definite: it never ran.
    """

    def __init__(
        self,
        *,
        store: Ownership,
        transport: Transport,
        clock: Clock,
        new_id: Callable[[], str],
        settings: ClusterSettings,
        metrics: ClusterMetrics,
    ) -> None:
        """`new_id` names exchange sessions; it must never repeat in the cluster."""
        self._transport = transport
        self._clock = clock
        self._new_id = new_id
        self._settings = settings
        self._metrics = metrics
        self._tasks = TaskOwner()
        self._clients: dict[tuple[str, str], ExchangeClient] = {}
        self._local: Callable[[Envelope], Awaitable[ReplyEnvelope]] | None = None
        self._local_host: Callable[[], tuple[str, str]] = lambda: ("", "")
        self._outstanding = 0
        self.routes = RouteTable(store=store, settings=settings, metrics=metrics)

    def attach_host(
        self, who: Callable[[], tuple[str, str]], deliver: Callable[[Envelope], Awaitable[ReplyEnvelope]]
    ) -> None:
        """Deliver in process what belongs to the host of this process: `who()` is its (host, incarnation)."""
        self._local_host = who
        self._local = deliver

    async def start(self) -> None:
        """Read the table once if it can be read, then keep it fresh."""
        self._tasks.spawn(self._refresh_loop(), "region.refresh")
        try:
            await self.routes.refresh()
        except StoreError as error:
            log.warning("region.started_without_routes", error=repr(error))

    async def stop(self) -> None:
        """Fail what is outstanding as unknown and stop."""
        await self._tasks.close()
        for client in list(self._clients.values()):
            await client.close()
        await self.routes.close()

    def tell(self, envelope: Envelope) -> None:
        """Deliver with the same care, but nobody waits: a hint. Dropped when a bound is reached."""
        if self._outstanding < self._settings.region_outstanding_max:
            self._tasks.spawn(self._tell(envelope), "region.tell")

    async def ask(self, envelope: Envelope) -> ReplyEnvelope:
        """Deliver and wait for the reply (always of kind `ok`; a refusal is one too).

        Raises `Overloaded` (a bound was reached; nothing ran), `DeadlineExceeded` (never ran, never will),
        `OutcomeUnknown` (may have run), `ClusterError` (the host refused, or the table could not be read for 1 s;
        nothing ran), `LeaseLost` (its owner could not prove that it is for 1 s; nothing ran). Ends at the deadline, or
        at most the time-out of one read of the table after it. `ValueError`: larger than an exchange.
        """
        if self._outstanding >= self._settings.region_outstanding_max:
            raise Overloaded("too many envelopes wait in this region")
        shard = shard_of(envelope.routing_key, self._settings.shard_count)
        ask = _Ask(envelope, shard, self._settings.resend_backoff_min_ms)
        self._outstanding += 1
        try:
            while True:
                fault = await self._attempt(ask)
                if isinstance(fault, ReplyEnvelope):
                    return fault
                await self._prepare_resend(ask, fault)
        except ClusterError as error:
            self._metrics.asks_failed.labels(error.code).inc()
            raise
        finally:
            self._outstanding -= 1

    async def _attempt(self, ask: _Ask) -> ReplyEnvelope | ClusterError | None:
        """Send once: the reply, or why there is none (None: nobody to send to)."""
        host = self.routes.host_of(ask.shard)
        if host is None or (host.host, host.incarnation) == ask.failed_at:
            ask.failed_at = None  # next time it is tried again: it may have been the network
            return None
        left_ms = remaining_ms(self._clock, ask.envelope.not_after_ms)
        if left_ms <= 0:
            return None
        try:
            reply = await self._deliver(host, ask.envelope, left_ms / 1e3)
        except ClusterError as error:
            fault = error
        else:
            if reply.kind == "ok":
                return reply
            fault = fault_of(reply, ask.shard)
        ask.may_have_run = ask.may_have_run or fault.may_have_run
        if isinstance(fault, HostUnreachable | NotSent):
            self.routes.drop(ask.shard, host)
            ask.failed_at = (host.host, host.incarnation)
        return fault

    async def _deliver(self, host: HostRow, envelope: Envelope, timeout_s: float) -> ReplyEnvelope:
        key = (host.host, host.incarnation)
        if self._local is not None and key == self._local_host():
            work = asyncio.ensure_future(self._local(envelope))
            try:
                async with asyncio.timeout(timeout_s):
                    return await asyncio.shield(work)  # the command goes on when its caller has gone
            except TimeoutError:
                raise OutcomeUnknown("no reply within the deadline") from None
        client = self._clients.get(key)
        if client is None:
            client = self._clients[key] = ExchangeClient(
                call=partial(self._transport.exchange, host),
                new_session=self._new_id,
                settings=self._settings,
                metrics=self._metrics,
            )
        return await client.ask(envelope, timeout_s)

    async def _prepare_resend(self, ask: _Ask, fault: ClusterError | None) -> None:
        """Raise if there is nothing more to try; else wait a little, with a fresher table after it."""
        if isinstance(fault, NotMine):
            if self.routes.hint(ask.shard, fault.owner) and ask.backoff_ms == self._settings.resend_backoff_min_ms:
                ask.backoff_ms *= 2
                return  # it moved: ask the new owner at once, but not round and round
        elif fault is not None and not isinstance(fault, OutcomeUnknown | LeaseLost | NotSent) and not ask.may_have_run:
            raise fault
        self._metrics.resends.labels("no-route" if fault is None else fault.code).inc()
        left_ms = remaining_ms(self._clock, ask.envelope.not_after_ms)
        if left_ms <= 0:
            raise self._too_late(ask)
        await asyncio.sleep(min(ask.backoff_ms, left_ms) / 1e3)
        ask.backoff_ms = min(2 * ask.backoff_ms, self._settings.resend_backoff_max_ms)
        readable = await self._refreshed()
        if readable and not isinstance(fault, LeaseLost):
            ask.stuck_since_s = None
        else:
            self._give_up_if_stuck(ask, fault)

    async def _refreshed(self) -> bool:
        try:
            await self.routes.refresh()
        except StoreError:
            return False
        return True

    def _give_up_if_stuck(self, ask: _Ask, fault: ClusterError | None) -> None:
        now_s = asyncio.get_running_loop().time()
        if ask.stuck_since_s is None:
            ask.stuck_since_s = now_s
        if now_s - ask.stuck_since_s < self._settings.route_timeout_ms / 1e3:
            return
        if ask.may_have_run:
            raise OutcomeUnknown("the command was sent, and no owner of its shard can be found")
        raise fault if isinstance(fault, LeaseLost) else ClusterError("the ownership table cannot be read")

    def _too_late(self, ask: _Ask) -> ClusterError:
        if ask.may_have_run:
            return OutcomeUnknown("the deadline passed, and the command may have run")
        return DeadlineExceeded("the deadline passed before the command could run")

    async def _tell(self, envelope: Envelope) -> None:
        try:
            await self.ask(envelope)
        except ClusterError as error:
            log.debug("region.hint_lost", entity_type=envelope.entity_type, code=error.code)

    async def _refresh_loop(self) -> None:
        while True:
            await asyncio.sleep(self._settings.route_refresh_interval_ms / 1e3)
            await self._refreshed()
            known = {(row.host, row.incarnation) for row in self.routes.hosts}
            for key, client in list(self._clients.items()):
                if key not in known and client.idle:
                    del self._clients[key]
