"""Connections to one Redis: a small pool, without the driver's own retries."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import hiredis
from redis import exceptions as driver
from redis.asyncio.connection import AbstractConnection, BlockingConnectionPool, Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from persistence.errors import StoreUnavailable
from persistence.redis.faults import DRIVER_ERRORS, describe, fault_of
from persistence.redis.scripts import Script
from persistence.redis_url import RedisServer

Argument = bytes | str | int


class RedisConnections:
    """Every adapter of a process shares them.

    Guarantees: `read` raises `StoreUnavailable` only; `run` raises `OutcomeUnknown` exactly when the script may have
    run, or may yet, and then its connection is never used again. Nothing is sent twice: who calls knows what a repeat
    would do. Every call ends by its deadline: the wait for a connection, then the wait for the answer.
    """

    def __init__(
        self, server: RedisServer, *, connections_max: int, connect_timeout_ms: int, answer_timeout_ms: int
    ) -> None:
        self._connect_timeout_s = connect_timeout_ms / 1000
        self._answer_timeout_s = answer_timeout_ms / 1000
        self._pool = BlockingConnectionPool(
            max_connections=connections_max,
            timeout=self._connect_timeout_s,
            connection_class=SSLConnection if server.tls else Connection,
            host=server.host,
            port=server.port,
            db=server.db,
            username=server.user or None,
            password=server.password or None,
            # Whoever repeats a write must know that it does.
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=self._connect_timeout_s,
            # The deadlines are below, one a call and not one a packet.
            socket_timeout=None,
            socket_keepalive=True,
            client_name="stampede",
            protocol=2,
        )

    async def close(self) -> None:
        """Close every connection."""
        with contextlib.suppress(*DRIVER_ERRORS):
            await self._pool.disconnect(inuse_connections=True)

    async def read(self, *commands: Sequence[Argument]) -> list[Any]:
        """The answers of these commands, sent together. Raises `StoreUnavailable`."""
        async with self._connection() as connection:
            try:
                async with asyncio.timeout(self._answer_timeout_s):
                    packed = b"".join(hiredis.pack_command(tuple(command)) for command in commands)  # type: ignore[arg-type] # any length
                    await connection.send_packed_command(packed, check_health=False)
                    return await _answers(connection, len(commands))
            except DRIVER_ERRORS as error:
                raise await _fault(error, connection, writing=False) from error

    async def run(self, script: Script, keys: Sequence[Argument], arguments: Sequence[Argument]) -> Any:
        """Run a script, atomically. Raises `StoreUnavailable`, `OutcomeUnknown`."""
        return await self._evaluate(script, keys, arguments, writing=True)

    async def run_freely(self, script: Script, keys: Sequence[Argument], arguments: Sequence[Argument]) -> Any:
        """As `run`, for what may as well be done twice or late. Raises `StoreUnavailable` only."""
        return await self._evaluate(script, keys, arguments, writing=False)

    async def _evaluate(
        self, script: Script, keys: Sequence[Argument], arguments: Sequence[Argument], *, writing: bool
    ) -> Any:
        given = (len(keys), *keys, *arguments)
        async with self._connection() as connection:
            try:
                async with asyncio.timeout(self._answer_timeout_s):
                    try:
                        return await _ask(connection, "EVALSHA", script.sha, *given)
                    except driver.NoScriptError:
                        # New to this server, or it was restarted. It was not run: this is no repeat.
                        return await _ask(connection, "EVAL", script.text, *given)
            except DRIVER_ERRORS as error:
                raise await _fault(error, connection, writing=writing) from error

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[AbstractConnection]:
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                connection = await self._pool.get_connection()  # type: ignore[no-untyped-call] # its decorator has no types
        except DRIVER_ERRORS as error:
            raise StoreUnavailable(f"no connection: {describe(error)}") from error
        try:
            yield connection
        finally:
            await self._pool.release(connection)


async def _ask(connection: AbstractConnection, *command: Argument) -> Any:
    # redis-py packs in Python, at twice the price of everything else that a large save costs here.
    await connection.send_packed_command(hiredis.pack_command(command), check_health=False)  # type: ignore[arg-type] # any length
    return await connection.read_response()


async def _answers(connection: AbstractConnection, count: int) -> list[Any]:
    """As many answers; all are taken from the wire before the first error among them is raised."""
    answers: list[Any] = []
    refused: driver.ResponseError | None = None
    for _ in range(count):
        try:
            answers.append(await connection.read_response())
        except driver.ResponseError as error:
            refused = refused or error
    if refused is not None:
        raise refused
    return answers


async def _fault(error: Exception, connection: AbstractConnection, *, writing: bool) -> Exception:
    # An answer that is a refusal leaves the connection as good as it was; but one to a replica leads nowhere.
    if not isinstance(error, driver.ResponseError) or isinstance(error, driver.ReadOnlyError):
        with contextlib.suppress(*DRIVER_ERRORS):
            await connection.disconnect(nowait=True)
    return fault_of(error, writing=writing)
