"""Runs the sagas of a host: at most one an entity, outside any request's task.

begin ─────────────────┐
                       ▼
resume, wake ─queue─► RUNNING ──next_step──► Finished ──► parked commands answered or decided again
                       │  ▲                                └─ still in flight: tried again later
                       │  └─record─ step performed (each only after the state it rests on is durable)
                       └─ pure code raised ──► BROKEN: logged, whoever shares it does not know, tried again later
"""

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from actors.domain.decision import Context, Rejected
from actors.domain.steps import AskAll, Decide, Failed, Finished, Step, Together, Wait
from actors.runtime import parking
from actors.runtime.delivery import Delivery
from actors.runtime.host_services import HostServices, context_of, own_envelope
from actors.runtime.lifecycle import ACTIVE, EntityGone
from actors.runtime.performer import Performer
from actors.runtime.saga_run import SagaRun, own_origin
from actors.runtime.traces import traced_step
from cluster.clock import Interval
from cluster.envelope import Envelope
from cluster.errors import ClusterError, Overloaded
from cluster.tracing import reset_cause, set_cause, tracing
from persistence.errors import OutcomeUnknown, StoreError

if TYPE_CHECKING:
    from actors.runtime.entity import Entity

log = structlog.get_logger(__name__)


class SagaRunner:
    """Guarantees.

    One saga an entity; a step is performed only after the commit of the events behind it; a saga that breaks is tried
    again with growing pauses, never in a loop.
    """

    def __init__(self, host: HostServices, performer: Performer) -> None:
        self._host = host
        self._performer = performer
        self._line: deque[SagaRun] = deque()
        self.running = 0
        self._background = 0

    @property
    def queued(self) -> int:
        """Sagas that wait for their turn."""
        return len(self._line)

    def begin(self, entity: "Entity", begin: Any, context: Context, origin: Envelope) -> SagaRun:
        """Start the saga that a parked command asks for. Raises `Overloaded`, or what `SagaType.begin` raises."""
        if self.running >= self._host.settings.sagas_running_max:
            raise Overloaded("too many sagas are running on this host")
        assert entity.type.saga is not None, f"{entity.type.name} has no saga to begin"
        progress = entity.type.saga.begin(entity.id, entity.working, begin, context)
        run = SagaRun(entity, progress, origin, background=False)
        entity.saga = run
        self._launch(run)
        return run

    def resume(self, entity: "Entity") -> None:
        """Carry on with an unfinished state, when there is room."""
        saga = entity.type.saga
        assert saga is not None
        try:
            progress = saga.resume(entity.id, entity.working)
        except Exception:  # the border to pure code
            log.exception("saga.resume_failed", entity=entity.key)
            self._try_again(entity)
            return
        self._queue(SagaRun(entity, progress, own_origin(entity, "resume"), background=True))

    def wake(self, entity: "Entity", begin: Any, now: Interval) -> None:
        """Start the saga that a due time asks for, when there is room. Raises what `SagaType.begin` raises."""
        saga = entity.type.saga
        assert saga is not None, f"{entity.type.name} has no saga to wake"
        run = SagaRun(entity, None, own_origin(entity, "wake"), background=True, woken_at_ms=now.earliest_ms)
        run.progress = saga.begin(entity.id, entity.working, begin, self._context(run))
        self._queue(run)

    # --- scheduling ------------------------------------------------------------------------------

    def _queue(self, run: SagaRun) -> None:
        run.entity.saga = run
        self._line.append(run)
        self._advance()

    def _advance(self) -> None:
        while self._line and self._background < self._host.settings.sagas_background_max:
            run = self._line.popleft()
            if not run.cancelled:
                self._launch(run)

    def _launch(self, run: SagaRun) -> None:
        self._occupy(run, 1)
        token = set_cause(run.origin.correlation_id, run.origin.traceparent)  # its task keeps it, for the log
        run.task = self._host.tasks.spawn(self._run(run), f"saga {run.entity.id}")
        reset_cause(token)
        run.task.add_done_callback(lambda _: self._leave(run))

    def _occupy(self, run: SagaRun, count: int) -> None:
        self.running += count
        if run.background:
            self._background += count

    def _leave(self, run: SagaRun) -> None:
        self._occupy(run, -1)
        self._advance()

    # --- one run ---------------------------------------------------------------------------------

    async def _run(self, run: SagaRun) -> None:
        entity = run.entity
        try:
            finished = await self._to_the_end(run)
        except EntityGone:
            return
        except Exception:  # the top of a saga: a bug stops this one alone
            log.exception("saga.broken", entity=entity.key, step_of=run.origin.command_id)
            self._host.metrics.saga_ended(entity.type.name, "broken")
            if not run.cancelled:
                entity.saga = None
                parking.saga_failed(entity, run)
                if run.woken_at_ms is not None:
                    entity.shard.wake_later(entity)
                self._try_again(entity)
            return
        if run.cancelled:
            return
        reply = finished.reply
        self._host.metrics.saga_ended(entity.type.name, reply.code if isinstance(reply, Rejected) else "done")
        entity.saga = None
        parking.saga_ended(entity, run, finished)
        if run.woken_at_ms is not None:
            entity.shard.woken(entity, run.woken_at_ms)
        self._after(entity)

    async def _to_the_end(self, run: SagaRun) -> Finished:
        entity, planted = run.entity, self._host.planted
        saga = entity.type.saga
        assert saga is not None
        for _ in range(self._host.settings.saga_steps_max):
            durable = entity.version == entity.committed_version or planted.effect_before_commit
            state = entity.working if durable and entity.phase is ACTIVE else (await entity.settled()).state
            step = saga.next_step(state, run.progress, self._context(run))
            if isinstance(step, Finished):
                return step
            result = await self._perform_traced(run, step)
            run.progress = saga.record(run.progress, step, result)
            # Not at each commit: a step may make several things durable, and an answer waits for all of them.
            if entity.parked and entity.phase is ACTIVE and not isinstance(step, Wait) and not _failed(result):
                parking.redecide(entity, self._host.clock.now())
        raise RuntimeError(f"the saga of {entity.key} took {self._host.settings.saga_steps_max} steps: a loop")

    def _context(self, run: SagaRun) -> Context:
        now = self._host.clock.now()
        if run.origin.not_after_ms:
            return context_of(run.origin, now, run.entity.shard.epoch)
        # Nobody waits for a resumed saga: it is never late.
        return Context(
            earliest_ms=now.earliest_ms,
            latest_ms=now.latest_ms,
            command_id=run.origin.command_id,
            not_after_ms=now.latest_ms + self._host.settings.decide_timeout_ms,
        )

    def _after(self, entity: "Entity") -> None:
        """Its saga is over. What is still in flight is tried again, more patiently each time."""
        saga = entity.type.saga
        assert saga is not None
        if entity.saga is not None or entity.phase is not ACTIVE or entity.version != entity.committed_version:
            return  # another has begun already, or the next commit looks again
        if entity.version > 0 and saga.in_flight(entity.working):
            self._try_again(entity)
            return
        entity.saga_failures = 0
        entity.shard.saga_over(entity)

    def _try_again(self, entity: "Entity") -> None:
        settings = self._host.settings
        delay_ms = min(settings.saga_retry_max_ms, settings.saga_retry_min_ms << min(entity.saga_failures, 16))
        entity.saga_failures += 1

        def again() -> None:
            entity.saga_retry = None
            entity.resume_if_unfinished()
            if entity.saga is None:
                entity.shard.saga_over(entity)

        if entity.saga_retry is not None:
            entity.saga_retry.cancel()
        entity.saga_retry = asyncio.get_running_loop().call_later(delay_ms / 1e3, again)

    # --- steps -----------------------------------------------------------------------------------

    async def _perform_traced(self, run: SagaRun, step: Step) -> Any:
        if not run.origin.traceparent or not tracing():
            return await self._perform(run, step, run.origin)
        with traced_step(step, run.origin) as performed:
            origin = msgspec.structs.replace(run.origin, traceparent=performed.traceparent)
            result = await self._perform(run, step, origin)
            if _failed(result):
                performed.fail("step-failed")
            return result

    async def _perform(self, run: SagaRun, step: Step, origin: Envelope) -> Any:
        match step:
            case Wait(delay_ms=delay_ms):
                self._occupy(run, -1)  # who only waits takes nobody's place
                self._advance()
                try:
                    await asyncio.sleep(delay_ms / 1e3)
                finally:
                    self._occupy(run, 1)
                return None
            case AskAll(asks=asks):
                return await self._all(run, asks, origin)
            case Together(steps=steps):
                return await self._all(run, steps, origin)
            case _:
                return await self._result(self._start(run, step, origin))

    async def _all(self, run: SagaRun, steps: tuple[Any, ...], origin: Envelope) -> tuple[Any, ...]:
        """Start all, then collect. Only what is not started by calling it gets a task."""
        started: list[Any] = []
        for step in steps:
            begun = self._start(run, step, origin)
            started.append(asyncio.ensure_future(begun) if asyncio.iscoroutine(begun) else begun)
        try:
            return tuple([await self._result(begun) for begun in started])
        finally:
            for begun in started:
                begun.cancel()  # does nothing to what is done

    def _start(self, run: SagaRun, step: Any, origin: Envelope) -> Awaitable[Any]:
        match step:
            case Decide(command=command):
                return self._decide(run, command, origin)
            case AskAll() | Together() | Wait():
                return self._perform(run, step, origin)
            case _:
                return self._performer.perform(step, origin)

    def _decide(self, run: SagaRun, command: Any, origin: Envelope) -> Awaitable[Any]:
        entity, now = run.entity, self._host.clock.now()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        not_after_ms = now.latest_ms + self._host.settings.decide_timeout_ms
        envelope = own_envelope(entity, origin.command_id, not_after_ms, origin)
        delivery = Delivery(entity.shard, entity, envelope, command, future, local=True)
        entity.shard.took(delivery)
        entity.accept(delivery, now)
        return future

    async def _result(self, awaitable: Awaitable[Any]) -> Any:
        """What the step gave; faults become `Failed`, with what is known about them."""
        try:
            return await awaitable
        except ClusterError as error:
            return Failed(code=error.code, may_have_run=error.may_have_run)
        except StoreError as error:
            unknown = isinstance(error, OutcomeUnknown)
            return Failed(code="store-unknown" if unknown else "store-unavailable", may_have_run=unknown)
        except TimeoutError:
            return Failed(code="timeout", may_have_run=True)


def _failed(result: Any) -> bool:
    parts = result if isinstance(result, tuple) else (result,)
    return any(isinstance(part, Failed) for part in parts)
