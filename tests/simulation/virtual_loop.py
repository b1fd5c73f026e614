"""An asyncio event loop on virtual time: when nothing is left to do, the clock jumps to the next timer.

Runs are deterministic: there is no real clock, no thread and no socket in them. A loop that would wait for
ever (nothing ready, no timer) raises `Deadlock` instead of hanging.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class Deadlock(RuntimeError):
    """Nothing is ready and no timer is set: whoever still waits, waits for ever."""


class RanTooLong(RuntimeError):
    """The run passed its bound of virtual time, or went round too often without any passing (a livelock)."""


class _JumpingSelector(selectors.BaseSelector):
    """Where a selector would wait for sockets, virtual time passes."""

    def __init__(self, jump: Callable[[float | None], None]) -> None:
        self._jump = jump
        self._map: dict[int, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = selectors.SelectorKey(fileobj, fd, events, data)
        self._map[fd] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._map.pop(fileobj if isinstance(fileobj, int) else fileobj.fileno())

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._jump(timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._map


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` starts at 0 and moves only when everything that is ready has run.

    Exceptions that nobody awaited are collected in `unhandled`.
    """

    def __init__(self, *, rounds_without_time_max: int = 200_000) -> None:
        self._virtual_s = 0.0
        self._rounds = 0
        self._rounds_max = rounds_without_time_max
        self.unhandled: list[dict[str, Any]] = []
        super().__init__(_JumpingSelector(self._advance))
        self._clock_resolution = 1e-9
        self.set_exception_handler(lambda _loop, context: self.unhandled.append(context))

    def time(self) -> float:
        return self._virtual_s

    def _advance(self, timeout: float | None) -> None:
        if timeout is None:
            raise Deadlock
        if timeout > 0:
            self._virtual_s += timeout
            self._rounds = 0
            return
        self._rounds += 1
        if self._rounds > self._rounds_max:
            raise RanTooLong(f"{self._rounds} rounds at {self._virtual_s:.3f} s")


def run_virtual(main: Coroutine[Any, Any, T], *, time_max_s: float = 3_600.0, loop: VirtualLoop | None = None) -> T:
    """Run `main` on a virtual loop of its own and return its result; what it left running is cancelled.

    Raises `RanTooLong` after `time_max_s` of virtual time, and an `ExceptionGroup` of what was never awaited.
    """
    loop = loop or VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        result = loop.run_until_complete(_bounded(main, time_max_s))
        unhandled = [c["exception"] for c in loop.unhandled if isinstance(c.get("exception"), Exception)]
        if unhandled:
            raise ExceptionGroup("exceptions that nobody awaited", unhandled)
        return result
    finally:
        left = [task for task in asyncio.all_tasks(loop) if not task.done()]
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        asyncio.set_event_loop(None)
        loop.close()


async def _bounded(main: Coroutine[Any, Any, T], time_max_s: float) -> T:
    task = asyncio.ensure_future(main)
    done, _ = await asyncio.wait([task], timeout=time_max_s)
    if not done:
        task.cancel()
        raise RanTooLong(f"{time_max_s:.0f} s of virtual time passed")
    return task.result()
