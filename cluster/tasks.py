"""Tasks with an owner: nothing runs on after whoever started it has stopped."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger(__name__)


class TaskOwner:
    """Starts tasks, keeps them from being collected, and cancels them together.

    A task that ends with an exception is logged: background work has nobody else to tell.
    """

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[Any], None] = {}  # a dict keeps the order: runs must be reproducible

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run `work` in a task of its own."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def cancel_all(self) -> None:
        """Cancel every task; they end in the next rounds of the loop."""
        current = asyncio.current_task()
        for task in list(self._tasks):
            if task is not current:
                task.cancel()

    async def close(self) -> None:
        """Cancel every task and wait until all have ended."""
        self.cancel_all()
        current = asyncio.current_task()
        waiting = [task for task in self._tasks if task is not current]
        if waiting:
            await asyncio.wait(waiting)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task.failed", task=task.get_name(), exc_info=error)
