"""Operating-system processes inside one virtual loop: they can be frozen (SIGSTOP) and killed (kill -9).

Whatever a process started carries it in its context: its tasks, timers and callbacks. While it is frozen nothing of it
runs, and what would have run is kept; once it is dead it never runs again, and no `finally` is executed either. Time
and the rest of the world go on.
"""

import asyncio
import heapq
from collections.abc import Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

from tests.simulation.virtual_loop import Deadlock, VirtualLoop

T = TypeVar("T")
CANCELLED_TIMERS_MIN = 100


class Process:
    """One process of the simulated machine park. Make it inside a running `ProcessLoop`."""

    def __init__(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ProcessLoop)
        self.name = name
        self.frozen = False
        self.dead = False
        self.held: list[asyncio.Handle] = []
        self.death: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._context: Context = copy_context()
        self._context.run(PROCESS.set, self)

    @property
    def stopped(self) -> bool:
        return self.frozen or self.dead

    def spawn(self, work: Coroutine[Any, Any, T], name: str = "") -> "asyncio.Task[T]":
        """Run `work` in this process."""
        return self._context.run(self._create, work, name)

    def _create(self, work: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]":
        return self._loop.create_task(work, name=name or self.name)

    def freeze(self) -> None:
        self.frozen = True
        self._loop.count_stopped()

    def thaw(self, *, input_first: bool) -> None:
        """Go on. `input_first`: what came in while it was frozen is seen before its own timers that are overdue."""
        if not self.frozen or self.dead:
            return
        self.frozen = False
        held, self.held = self.held, []
        if input_first:
            held.sort(key=lambda handle: isinstance(handle, asyncio.TimerHandle))
        self._loop.give_back(held)
        self._loop.count_stopped()

    def kill(self) -> None:
        """kill -9. What it held is kept, so that nothing of it is collected (and cleaned up) while the world runs."""
        self.dead = True
        if not self.death.done():
            self.death.set_result(None)
        self._loop.count_stopped()


PROCESS: ContextVar[Process | None] = ContextVar("simulated_process", default=None)


class ProcessLoop(VirtualLoop):
    """A virtual loop that runs nothing of a stopped process."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[Process] = []
        self.ended = False
        self._any_stopped = False
        self._ready: Any
        self._scheduled: list[Any]
        self._timer_cancelled_count: int
        self._stopping: bool
        self.set_exception_handler(self._not_awaited)

    def _not_awaited(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not self.ended:
            self.unhandled.append(context)

    def process(self, name: str) -> Process:
        process = Process(name)
        self.processes.append(process)
        return process

    def count_stopped(self) -> None:
        self._any_stopped = any(process.stopped for process in self.processes)

    def give_back(self, handles: list[asyncio.Handle]) -> None:
        self._ready.extend(handles)

    def end(self) -> None:
        """The world is over: let what the dead left behind be cleaned up."""
        self.ended = True
        for process in self.processes:
            self.give_back(process.held)
            process.held = []

    def _run_once(self) -> None:
        """As in the base class, without sockets; what belongs to a stopped process is put aside."""
        self._drop_cancelled_timers()
        scheduled, ready = self._scheduled, self._ready
        if ready or self._stopping:
            self._advance(0)
        elif scheduled:
            self._advance(max(0.0, scheduled[0]._when - self._virtual_s))
        else:
            raise Deadlock
        end = self._virtual_s + self._clock_resolution
        while scheduled and scheduled[0]._when < end:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            ready.append(handle)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            if self._any_stopped and not self.ended:
                process = handle._context.get(PROCESS)
                if process is not None and process.stopped:
                    process.held.append(handle)
                    continue
            handle._run()

    def _drop_cancelled_timers(self) -> None:
        scheduled = self._scheduled
        if self._timer_cancelled_count > max(CANCELLED_TIMERS_MIN, len(scheduled) // 2):
            kept = [handle for handle in scheduled if not handle._cancelled]
            for handle in scheduled:
                if handle._cancelled:
                    handle._scheduled = False
            heapq.heapify(kept)
            scheduled[:] = kept
            self._timer_cancelled_count = 0
        while scheduled and scheduled[0]._cancelled:
            self._timer_cancelled_count -= 1
            heapq.heappop(scheduled)._scheduled = False
