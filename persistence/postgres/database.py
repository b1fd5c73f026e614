"""Connections to one PostgreSQL URL: a small pool, and apart from it the connections that fence."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from asyncpg.transaction import Transaction

from persistence.errors import OutcomeUnknown, StoreError, StoreUnavailable
from persistence.postgres.faults import DRIVER_ERRORS, fault_of
from persistence.settings import StoreSettings

FENCE_CONNECTIONS_MAX = 4
FENCE_IDLE_S = 10.0
POOL_IDLE_S = 300.0
CLOSE_TIMEOUT_S = 1.0
TRANSACTION_ANSWER_TIMEOUT_S = 40.0
"""For each statement of a transaction: longer than any of them may run on the server."""
ROLLBACK_TIMEOUT_S = 2.0


class Database:
    """One URL's connections, shared by every adapter of a process whose schema lives there.

    Guarantees: `read` raises `StoreUnavailable` only; `write` raises `OutcomeUnknown` exactly when the statement
    may have run, or may yet, and then its connection is never used again. `write_apart` runs on connections that
    never carry another write, new ones after every unknown outcome.
    """

    def __init__(self, url: str, settings: StoreSettings) -> None:
        self._answer_timeout_s = settings.answer_timeout_ms / 1000
        self._connect_timeout_s = settings.connect_timeout_ms / 1000
        self._server_settings = {
            "application_name": "stampede",
            "timezone": "UTC",
            "lock_timeout": str(settings.lock_timeout_ms),
            "statement_timeout": str(settings.statement_timeout_ms),
            "idle_in_transaction_session_timeout": str(settings.statement_timeout_ms),
            "synchronous_commit": "on",
            # Our statements are short; compiling one would cost more than running it.
            "jit": "off",
        }
        self._pool = self._make_pool(url, settings.pool_connections_max, POOL_IDLE_S)
        self._fences = self._make_pool(url, FENCE_CONNECTIONS_MAX, FENCE_IDLE_S)

    def _make_pool(self, url: str, connections_max: int, idle_s: float) -> "asyncpg.Pool[asyncpg.Record]":
        return asyncpg.create_pool(
            url,
            min_size=0,
            max_size=connections_max,
            max_inactive_connection_lifetime=idle_s,
            # Nothing we run leaves a setting, a cursor or a lock behind, and a reset is one more round trip.
            reset=_nothing_to_reset,
            timeout=self._connect_timeout_s,
            command_timeout=max(TRANSACTION_ANSWER_TIMEOUT_S, self._answer_timeout_s),
            server_settings=self._server_settings,
        )

    async def open(self) -> None:
        """Make the pools ready. Connects on first use, so a process may start before its database."""
        await self._pool
        await self._fences

    async def close(self) -> None:
        """Close every connection; those still in use a second later are cut off."""
        for pool in (self._pool, self._fences):
            try:
                await asyncio.wait_for(pool.close(), CLOSE_TIMEOUT_S)
            except DRIVER_ERRORS:
                pool.terminate()

    async def read(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run a query. Raises `StoreUnavailable`."""
        return await self._run(self._pool, statement, arguments, writing=False)

    async def write(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run one autocommit statement. Raises `StoreUnavailable`, `WriteRefused`, `OutcomeUnknown`."""
        return await self._run(self._pool, statement, arguments, writing=True)

    async def write_apart(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """As `write`, on a connection that never carried an append."""
        return await self._run(self._fences, statement, arguments, writing=True)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator["PoolConnectionProxy[asyncpg.Record]"]:
        """Several statements that commit together; for rare writes. Raises as `write`."""
        async with self._connection(self._pool) as connection:
            transaction = connection.transaction()
            try:
                await transaction.start()
                try:
                    yield connection
                except (OSError, asyncio.CancelledError):
                    raise  # perhaps nobody answers: what follows does not wait for that
                except BaseException:
                    await transaction.rollback()
                    raise
                await transaction.commit()
            except asyncio.CancelledError:
                await _undo(transaction, connection)
                raise
            except DRIVER_ERRORS as error:
                raise await self._fault(error, connection, writing=True) from error

    async def _run(
        self, pool: "asyncpg.Pool[asyncpg.Record]", statement: str, arguments: tuple[Any, ...], *, writing: bool
    ) -> list[asyncpg.Record]:
        async with self._connection(pool) as connection:
            try:
                return await connection.fetch(statement, *arguments, timeout=self._answer_timeout_s)
            except DRIVER_ERRORS as error:
                raise await self._fault(error, connection, writing=writing) from error

    @contextlib.asynccontextmanager
    async def _connection(
        self, pool: "asyncpg.Pool[asyncpg.Record]"
    ) -> AsyncIterator["PoolConnectionProxy[asyncpg.Record]"]:
        try:
            connection = await pool.acquire(timeout=self._connect_timeout_s)
        except DRIVER_ERRORS as error:
            raise StoreUnavailable(f"no connection: {error!r}") from error
        try:
            yield connection
        finally:
            # A connection that broke meanwhile is dropped by the pool.
            with contextlib.suppress(*DRIVER_ERRORS):
                await pool.release(connection)

    async def _fault(
        self, error: Exception, connection: "PoolConnectionProxy[asyncpg.Record]", *, writing: bool
    ) -> StoreError:
        fault = fault_of(error, writing=writing)
        if isinstance(error, OSError):
            connection.terminate()
        if isinstance(fault, OutcomeUnknown):
            # Whatever made the answer vanish may hold the other connections too: the next fence gets a new one.
            await self._fences.expire_connections()
        return fault


async def _undo(transaction: Transaction, connection: "PoolConnectionProxy[asyncpg.Record]") -> None:
    """Roll back, or else drop the connection, whose transaction the server then ends. Raises nothing of its own.

    asyncpg's way out of a transaction would raise what befalls the rollback in place of the cancellation, and wait for
    ever for a server that does not answer.
    """
    try:
        async with asyncio.timeout(ROLLBACK_TIMEOUT_S):
            await transaction.rollback()
    except DRIVER_ERRORS:
        with contextlib.suppress(*DRIVER_ERRORS):
            connection.terminate()


async def _nothing_to_reset(_: object) -> None:
    """Stands in place of asyncpg's reset."""
