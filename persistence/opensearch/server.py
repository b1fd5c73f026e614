"""Requests to one OpenSearch server, each with its deadline."""

import logging
import ssl
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from opensearchpy import AsyncOpenSearch

from persistence.errors import StoreMisconfigured
from persistence.opensearch.faults import DRIVER_ERRORS, SETTING, fault_of, of_status
from persistence.opensearch_url import OpenSearchServer
from persistence.settings import StoreSettings

WRITE_TIMEOUT_MS: Final = 30_000
"""How long a writer waits: no shopper waits for one."""

_OLDEST: Final = (2, 11)

# It logs every failed request with a stack; whoever made the request tells it.
logging.getLogger("opensearch").setLevel(logging.CRITICAL)


class Server:
    """The server that a URL names. Connects on first use, and keeps its connections. Makes no request twice."""

    def __init__(self, server: OpenSearchServer, settings: StoreSettings) -> None:
        self._settings = settings
        host = f"[{server.host}]" if ":" in server.host else server.host
        # Certificates by a context of our own: the driver's does not compare the host's name.
        secured: dict[str, Any] = {"ssl_context": _trusting(server.ca)} if server.tls else {}
        self._client = AsyncOpenSearch(
            hosts=[f"http{'s' if server.tls else ''}://{host}:{server.port}/{server.path}"],
            http_auth=(server.user, server.password) if server.user else None,
            pool_maxsize=settings.pool_connections_max,
            max_retries=0,
            retry_on_timeout=False,
            retry_on_status=(),
            **secured,
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.close()

    async def check(self) -> None:
        """Raises `StoreMisconfigured` unless this is an OpenSearch that can be used, `StoreUnavailable` if it is away."""
        told = await self.read("GET", "/")
        version = told.get("version", {}) if isinstance(told, dict) else {}
        number = str(version.get("number", "unknown"))
        if version.get("distribution") != "opensearch":
            raise StoreMisconfigured(f"{SETTING}: what answers there is no OpenSearch (version {number[:20]})")
        major, minor = (int(part) if part.isdecimal() else 0 for part in f"{number}.0".split(".")[:2])
        if (major, minor) < _OLDEST:
            raise StoreMisconfigured(f"{SETTING}: OpenSearch {number} is too old; 2.11 or newer is needed")

    async def read(self, method: str, path: str, body: object = None, **parameters: object) -> Any:
        """The answer to what changes nothing. Raises `StoreUnavailable` (`IndexGone`)."""
        sent = None if body is None else msgspec.json.encode(body)
        return await self._ask(method, path, sent, parameters, self._settings.answer_timeout_ms, writing=False)

    async def write(self, method: str, path: str, body: object = None, **parameters: object) -> Any:
        """The answer to a change. Raises `StoreUnavailable` (not done), `OutcomeUnknown`, `WriteRefused`."""
        sent = None if body is None else msgspec.json.encode(body)
        return await self._ask(method, path, sent, parameters, WRITE_TIMEOUT_MS, writing=True)

    async def bulk(self, lines: Iterable[bytes], *, refresh: bool) -> list[Mapping[str, Any]]:
        """The outcome of each item of a bulk request. Its indexes must be aliases: none is made by a mistake."""
        parameters = {"require_alias": "true", "refresh": "true" if refresh else "false"}
        body = b"\n".join(lines) + b"\n"
        answer = await self._ask("POST", "/_bulk", body, parameters, WRITE_TIMEOUT_MS, writing=True)
        return [next(iter(item.values())) for item in answer["items"]]

    async def search(self, index: str, body: Mapping[str, object]) -> Mapping[str, Any]:
        """What one search finds, from all shards and in time, or `StoreUnavailable`."""
        return (await self.searches(index, [body]))[0]

    async def searches(self, index: str, bodies: Sequence[Mapping[str, object]]) -> list[Mapping[str, Any]]:
        """What each of several searches finds, in one request."""
        header = msgspec.json.encode({"index": index, "allow_partial_search_results": False})
        ends = {"timeout": f"{self._settings.statement_timeout_ms}ms"}
        lines = [line for body in bodies for line in (header, msgspec.json.encode({**body, **ends}))]
        sent = b"\n".join(lines) + b"\n"
        timeout_ms = self._settings.answer_timeout_ms
        answer = await self._ask("POST", "/_msearch", sent, {}, timeout_ms, writing=False)
        for each in answer["responses"]:
            if "error" in each:
                causes = each["error"].get("root_cause") or [each["error"]]
                raise of_status(each.get("status", 500), causes[0], writing=False)
            if each["timed_out"]:
                raise of_status(503, {"type": "timed_out"}, writing=False)
        return list(answer["responses"])

    async def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None,
        parameters: Mapping[str, object],
        timeout_ms: int,
        *,
        writing: bool,
    ) -> Any:
        given = {**parameters, "request_timeout": timeout_ms / 1_000}
        try:
            return await self._client.transport.perform_request(method, path, params=given, body=body)
        except DRIVER_ERRORS as error:
            raise fault_of(error, writing=writing) from error


def _trusting(ca: str | None) -> ssl.SSLContext:
    """What the machine trusts, or this file alone; the host's name must be the certificate's."""
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise StoreMisconfigured(f"{SETTING}: the file of ca cannot be used ({type(error).__name__})") from error
