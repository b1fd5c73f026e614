"""Sends what is to be sent: takes due messages, hands them to their channel's mailer, and writes down what came of it.

pending ──take──► handing over ──► sent
   ▲                  │   │
   └── a temporary ───┘   └──► failed: refused for good, or given up after a day
       fault, later
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping

import structlog

from actors.notifications.records import ended
from actors.notifications.settings import NotificationSettings
from persistence.errors import NotDelivered, StoreError
from persistence.ports import Mailer, Notifications
from persistence.records import Channel, NotificationRow

log = structlog.get_logger(__name__)

LEASE_MS = 90_000
MARK_FIRST_S = 0.1
MARK_MAX_S = 5.0
ERROR_CHARACTERS_MAX = 400


class Sender:
    """One loop, some messages at a time; run one in the whole cluster, and a second does no harm.

    Guarantees: a message is handed over at least once unless it ends as failed. It is handed over again only if nobody
    could write down that it was: the process died in between, or the store was away until the lease (90 s) ran out.
    The repeat carries the same Message-ID. A temporary fault is tried again after 5 s, doubling to 15 min, each time
    shortened by chance to as little as half; the last try is a day after what it tells.
    """

    def __init__(
        self,
        notifications: Notifications,
        mailers: Mapping[Channel, Mailer],
        now_ms: Callable[[], int],
        *,
        settings: NotificationSettings | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._notifications = notifications
        self._mailers = mailers
        self._now_ms = now_ms
        self._settings = settings or NotificationSettings()
        self._chance = chance

    @property
    def name(self) -> str:
        """See `BackgroundTask`."""
        return "sender"

    async def run(self) -> None:
        """Until it is cancelled. What is being handed over then has a moment to end; else it is sent after its lease."""
        sending: set[asyncio.Task[None]] = set()
        try:
            while True:
                found = await self._start_due(sending)
                if found and len(sending) < self._settings.at_once_max:
                    continue
                await self._pause(sending)
        finally:
            if sending:
                await asyncio.wait(sending, timeout=self._settings.stop_settle_ms / 1e3)
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)

    async def send_due(self) -> int:
        """One round, waited for: every message that is due now, at most `at_once_max`. How many there were."""
        sending: set[asyncio.Task[None]] = set()
        found = await self._start_due(sending)
        await asyncio.gather(*sending)
        return found

    async def _start_due(self, sending: set[asyncio.Task[None]]) -> int:
        free = self._settings.at_once_max - len(sending)
        if free == 0:
            return 0
        try:
            rows = await self._notifications.take_due(self._now_ms(), LEASE_MS, free)
        except StoreError as error:
            log.warning("sender.store_away", error=type(error).__name__)
            return 0
        for row in rows:
            task = asyncio.create_task(self._deliver(row), name=f"send-{row.id}")
            sending.add(task)
            task.add_done_callback(sending.discard)
        return len(rows)

    async def _pause(self, sending: set[asyncio.Task[None]]) -> None:
        if len(sending) == self._settings.at_once_max:
            await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(self._settings.poll_interval_ms / 1e3)

    async def _deliver(self, row: NotificationRow) -> None:
        try:
            async with asyncio.timeout(self._settings.send_timeout_ms / 1e3):
                await self._hand_over(row)
        except NotDelivered as fault:
            await self._fault(row, fault)
        except TimeoutError:
            await self._fault(row, NotDelivered("no answer in time", permanent=False))
        except Exception as error:  # noqa: BLE001 - the top of one message's way: it must not stop the others
            # Its kind only: what it says, and where it happened, may hold the message.
            log.warning("sender.mailer_broke", notification=row.id, error=type(error).__name__)
            await self._fault(row, NotDelivered(type(error).__name__, permanent=False))
        else:
            at_ms = self._now_ms()
            await self._mark(row, lambda: self._notifications.sent(row.id, at_ms, ended(row, "sent", at_ms)))

    async def _hand_over(self, row: NotificationRow) -> None:
        mailer = self._mailers.get(row.channel)
        if mailer is None:
            # It was taken out of the settings; put back, the message goes on.
            raise NotDelivered("there is no mailer for this channel", permanent=False)
        await mailer.send(row)

    async def _fault(self, row: NotificationRow, fault: NotDelivered) -> None:
        now_ms = self._now_ms()
        last_ms = row.created_at_ms + self._settings.give_up_after_ms
        # The server's own words go to the store only: they may repeat the address.
        error = f"{fault}: {fault.reply}" if fault.reply else str(fault)
        error = error[:ERROR_CHARACTERS_MAX]
        over = fault.permanent or now_ms >= last_ms
        log.warning(
            "sender.failed" if over else "sender.later", notification=row.id, tries=row.attempts, why=str(fault)
        )
        if over:
            event = ended(row, "failed", now_ms)
            await self._mark(row, lambda: self._notifications.fail(row.id, now_ms, error, event))
        else:
            due_at_ms = min(now_ms + self._delay_ms(row.attempts), last_ms)
            await self._mark(row, lambda: self._notifications.retry(row.id, due_at_ms, error))

    def _delay_ms(self, attempts: int) -> int:
        settings = self._settings
        longest_ms = min(settings.retry_backoff_min_ms << min(attempts - 1, 20), settings.retry_backoff_max_ms)
        return int(longest_ms * (0.5 + self._chance() / 2))

    async def _mark(self, row: NotificationRow, write: Callable[[], Awaitable[None]]) -> None:
        """Write it down, again and again while the lease may last: after it, somebody else may send the message."""
        pause_s = MARK_FIRST_S
        while True:
            try:
                return await write()
            except StoreError as error:
                if self._now_ms() + pause_s * 1e3 >= row.due_at_ms:
                    log.warning("sender.not_marked", notification=row.id, error=type(error).__name__)
                    return None
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, MARK_MAX_S)
