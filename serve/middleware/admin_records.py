"""Keeps a durable record of what administrators and services ask to be changed, and of who was refused."""

import asyncio
import re
from typing import Final

import structlog
from msgspec.structs import asdict
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from persistence.errors import StoreError
from persistence.ports import AdminRecords
from persistence.records import AdminRecord
from serve.auth.principal import Principal, Role
from serve.auth.rate_limits import SlidingWindows
from serve.clock import Clock
from serve.middleware.client_address import address_of
from serve.middleware.request_id import request_id_of

REFUSALS_OF_ONE_PER_MIN: Final = 10
REFUSALS_OF_ALL_PER_MIN: Final = 600
CLIENT_GONE: Final = 499
"""The status of a record whose request was broken off before its answer: what was asked for may have happened."""

_MINUTE_MS: Final = 60_000
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_STAFF: Final = frozenset({Role.ADMIN, Role.SERVICE})
_PATH_CHARACTERS_MAX: Final = 512
# What an id looks like. An address, or a token that somebody put into a path, does not.
_PLAIN: Final = re.compile(r"(?!eyJ|rt_|tok_|pm_|pi_)[A-Za-z0-9._:-]{0,128}")
_log = structlog.get_logger(__name__)


class AdminRecordsMiddleware:
    """Writes records before the answers that they are about.

    Recorded: everything but reads by an administrator or a service, whatever became of it, and every 403, whoever got
    it. Of refusals at most `REFUSALS_OF_ONE_PER_MIN` a caller: nobody fills the store by knocking. A record has no
    query, no body, no token and no e-mail address.

    The deed is done when its record is written. If the store cannot take the record, the deed is answered all the
    same, and the record goes to the log as `admin_record.not_stored`, at level error.
    """

    def __init__(self, app: ASGIApp, *, records: AdminRecords, clock: Clock) -> None:
        self._app = app
        self._records = records
        self._clock = clock
        self._refusals = SlidingWindows(clock.now_ms)
        self._late: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answered = False

        async def recorded(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start" and not answered:
                answered = True
                await self._record(scope, message["status"])
            await send(message)

        try:
            await self._app(scope, receive, recorded)
        except asyncio.CancelledError:
            if not answered:
                # The caller is gone, and with it this task. What it asked for may be done: that must not go unseen.
                late = asyncio.create_task(self._record(scope, CLIENT_GONE))
                self._late.add(late)
                late.add_done_callback(self._late.discard)
            raise

    async def _record(self, scope: Scope, status: int) -> None:
        principal = scope.get("state", {}).get("principal")
        if not isinstance(principal, Principal) or not self._wanted(scope["method"], principal, status):
            return
        record = AdminRecord(
            at_ms=self._clock.now_ms(),
            actor=principal.id,
            role=principal.role.value,
            method=scope["method"],
            route=getattr(scope.get("route"), "path", ""),
            path=recordable(scope["path"]),
            status=status,
            request_id=request_id_of(scope),
            address=address_of(scope),
        )
        try:
            await self._records.add(record)
        except StoreError as error:
            _log.error("admin_record.not_stored", error=type(error).__name__, **asdict(record))

    def _wanted(self, method: str, principal: Principal, status: int) -> bool:
        if status == 403:
            return self._is_admitted(f"of:{principal.id}", REFUSALS_OF_ONE_PER_MIN) and self._is_admitted(
                "all", REFUSALS_OF_ALL_PER_MIN
            )
        return principal.role in _STAFF and method not in _SAFE_METHODS

    def _is_admitted(self, key: str, limit: int) -> bool:
        return self._refusals.hit(key, limit, _MINUTE_MS) == 0


def recordable(path: str) -> str:
    """The path with `***` in place of every part that is no plain id, cut to 512 characters."""
    shown = "/".join(part if _PLAIN.fullmatch(part) else "***" for part in path[: 2 * _PATH_CHARACTERS_MAX].split("/"))
    return shown[:_PATH_CHARACTERS_MAX]
