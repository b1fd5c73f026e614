"""A bounded number of things at once, taken several at a time."""

import asyncio
from collections import deque


class Permits:
    """`count` permits. `take(n)` waits for at least one and returns how many it got, at most n."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, wanted: int) -> int:
        """Wait for a permit; give back what was returned with `give`."""
        while self._free == 0:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._wake_next()  # our turn came and we leave: somebody else may go
                raise
        taken = min(wanted, self._free)
        self._free -= taken
        if self._free:
            self._wake_next()
        return taken

    def give(self, count: int) -> None:
        """Put permits back."""
        self._free += count
        self._wake_next()

    def _wake_next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
