"""What a failed request means: refused, not run, or unknown. The one place that reads the driver's errors."""

from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from opensearchpy.exceptions import ConnectionError as NoConnection
from opensearchpy.exceptions import OpenSearchException, TransportError

from persistence.errors import OutcomeUnknown, StoreError, StoreMisconfigured, StoreUnavailable, WriteRefused

DRIVER_ERRORS: Final = (OpenSearchException, OSError)
"""All that the driver raises for a fault of the server, the connection or the data."""

SETTING: Final = "OPENSEARCH_URL"
_GONE: Final = ("index_not_found_exception", "aliases_not_found_exception")
_SHARDS: Final = ("search_phase_execution_exception", "no_shard_available_action_exception")


class IndexGone(StoreUnavailable):
    """An index that was named is not there."""


class ShardsFailed(StoreUnavailable):
    """An index did not answer: it went while it was searched, or the node that has it is away."""


class AlreadyThere(WriteRefused):
    """An index of this name is there."""


def fault_of(error: Exception, *, writing: bool) -> StoreError:
    """The fault behind a driver's error."""
    match error:
        case NoConnection():
            return _of_connection(error, writing=writing)
        case TransportError():
            return of_status(_status(error), _first_error(error.info), writing=writing)
        case _ if writing:
            return OutcomeUnknown(f"no answer: {type(error).__name__}")
        case _:
            return StoreUnavailable(f"no answer: {type(error).__name__}")


def of_status(status: int, error: Mapping[str, Any], *, writing: bool) -> StoreError:
    """The fault behind an answer's status and its `error`, of a request or of one item of many."""
    kind = str(error.get("type", "no type"))
    said = f"OpenSearch answered {status} {kind}"
    if status == 404 and kind in _GONE:
        return IndexGone(f"{said}: the index is not there")
    if kind == "resource_already_exists_exception":
        return AlreadyThere(said)
    if status == 401:
        return StoreMisconfigured(f"{SETTING}: the server refuses this user or password")
    if status == 403:
        return StoreMisconfigured(f"{SETTING}: the server does not let this user do what search needs ({kind})")
    if status == 503 and kind in _SHARDS and not writing:
        return ShardsFailed(said)
    if status in (404, 429):
        return StoreUnavailable(said)
    if 400 <= status < 500:
        return WriteRefused(said) if writing else StoreUnavailable(said)
    return OutcomeUnknown(said) if writing else StoreUnavailable(said)


def _of_connection(error: NoConnection, *, writing: bool) -> StoreError:
    cause = error.info
    if isinstance(cause, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return StoreMisconfigured(f"{SETTING}: no trusted connection ({type(cause).__name__}); see ?ca= and http/https")
    if isinstance(cause, aiohttp.ClientConnectorError) or not writing:
        return StoreUnavailable(f"OpenSearch is not reached: {type(cause).__name__}")
    return OutcomeUnknown(f"OpenSearch gave no answer: {type(cause).__name__}")


def _status(error: TransportError) -> int:
    return error.status_code if isinstance(error.status_code, int) else 0


def _first_error(info: object) -> Mapping[str, Any]:
    """The error that an answer's body tells; of several causes the first. Its reason may quote values: not used."""
    found = info.get("error") if isinstance(info, dict) else None
    if not isinstance(found, dict):
        return {}
    causes = found.get("root_cause")
    return causes[0] if isinstance(causes, list) and causes and isinstance(causes[0], dict) else found
