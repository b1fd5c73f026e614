"""Connections to one MongoDB: a small pool, safe writes, and a deadline on everything."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection
from pymongo.errors import ConfigurationError, InvalidURI

from persistence.errors import StoreUnavailable
from persistence.mongo.faults import DRIVER_ERRORS, fault_of
from persistence.mongo_url import parse_mongo_url

Document = dict[str, Any]
Collection = AsyncIOMotorCollection[Document]
Answer = TypeVar("Answer")


class MongoLimits(Protocol):
    """Bounds of a process's connections; `StoreSettings` has them."""

    @property
    def pool_connections_max(self) -> int: ...  # noqa: D102
    @property
    def connect_timeout_ms(self) -> int: ...  # noqa: D102
    @property
    def statement_timeout_ms(self) -> int: ...  # noqa: D102
    @property
    def answer_timeout_ms(self) -> int: ...  # noqa: D102


class MongoDatabase:
    """One process's connections, shared by every adapter of the catalog. Connects on first use.

    Guarantees: `read` raises `StoreUnavailable` (or `WriteRefused` for a value that no document holds); `write` raises
    `OutcomeUnknown` exactly when the operation may have run, or may yet. A write is answered when the majority of the
    servers have it in their journals, and is read from there. Every call ends by its deadline: the wait for a
    connection, then the wait for the answer.
    """

    def __init__(self, url: str, limits: MongoLimits) -> None:
        server = parse_mongo_url(url)
        self.name = server.database
        self._connect_timeout_s = limits.connect_timeout_ms / 1000
        self._answer_timeout_s = limits.answer_timeout_ms / 1000
        # The driver's threads wait without a deadline for their turn, so no more calls reach it than it has connections.
        self._places = asyncio.Semaphore(limits.pool_connections_max)
        self._client = _client(server.url, limits)
        database = self._client[server.database]
        self.products: Collection = database["products"]
        """Products and tombstones, with their prices and the events that nobody has taken yet."""
        self.prices: Collection = database["prices"]
        """Old price versions of products that had many."""
        self.categories: Collection = database["categories"]
        self.consumers: Collection = database["consumers"]
        """The outbox's consumer: its epoch, and what it is done with."""
        self.counters: Collection = database["counters"]
        self.meta: Collection = database["meta"]
        """The schema's version."""

    async def read(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do something that changes nothing. Raises `StoreUnavailable`."""
        return await self._run(call, writing=False)

    async def write(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do one write. Raises `StoreUnavailable`, `WriteRefused`, `OutcomeUnknown`."""
        return await self._run(call, writing=True)

    async def find(
        self,
        collection: Collection,
        filters: Mapping[str, Any],
        *,
        fields: Sequence[str] | None = None,
        sort: Sequence[tuple[str, int]] | None = None,
        limit: int = 0,
    ) -> list[Document]:
        """The documents that match; with `fields` only those and `_id`. No limit: 0."""

        async def found() -> list[Document]:
            cursor = collection.find(filters, projection=fields, sort=sort, limit=limit)
            return [document async for document in cursor]

        return await self.read(found)

    async def aggregate(self, collection: Collection, stages: Sequence[Mapping[str, Any]]) -> list[Document]:
        """What comes out of a pipeline."""

        async def found() -> list[Document]:
            return [document async for document in collection.aggregate(list(stages))]

        return await self.read(found)

    async def command(self, name: str) -> Document:
        """A command without parameters that changes nothing."""
        return await self.read(lambda: self._client[self.name].command(name))

    async def close(self) -> None:
        """Close every connection."""
        self._client.close()

    async def _run(self, call: Callable[[], Awaitable[Answer]], *, writing: bool) -> Answer:
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await self._places.acquire()
        except TimeoutError as error:
            raise StoreUnavailable("mongodb: no connection is free") from error
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                return await call()
        except DRIVER_ERRORS as error:
            raise fault_of(error, writing=writing) from error
        finally:
            self._places.release()


def _client(url: str, limits: MongoLimits) -> AsyncIOMotorClient[Document]:
    try:
        return AsyncIOMotorClient(
            url,
            appname="stampede",
            maxPoolSize=limits.pool_connections_max,
            serverSelectionTimeoutMS=limits.connect_timeout_ms,
            connectTimeoutMS=limits.connect_timeout_ms,
            # Of one operation, repeats included; the server ends it then.
            timeoutMS=limits.statement_timeout_ms,
            w="majority",
            journal=True,
            readConcernLevel="majority",
            readPreference="primary",
            # In a replica set the driver repeats a write that met a change of the primary; the server takes it once.
            retryWrites=True,
            retryReads=True,
        )
    except InvalidURI as error:
        # Its text may quote the password.
        raise StoreUnavailable("MONGO_URL: the driver cannot read it") from error
    except (ConfigurationError, ValueError, TypeError, OSError) as error:
        raise StoreUnavailable(f"MONGO_URL: {' '.join(str(error).split())[:200]}") from error
