"""What a failed operation means: refused, not run, or unknown. The one place that reads the driver's errors."""

from collections.abc import Mapping
from typing import Any

from bson.errors import BSONError
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    DuplicateKeyError,
    InvalidOperation,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WriteConcernError,
)

from persistence.errors import AlreadyExists, OutcomeUnknown, StaleVersion, StoreError, StoreUnavailable, WriteRefused

DRIVER_ERRORS = (PyMongoError, BSONError, OverflowError, OSError)
"""All that the driver raises for a fault of the server, the connection or the data. `TimeoutError` is an `OSError`."""

PRICE_LINKS = "price_links"
"""The field whose unique index keeps a SKU's price versions one line."""

_LOGIN_REFUSED = frozenset({13, 18, 8000})
# Bad value, too large in several ways, names or documents that may not be stored.
_REFUSED = frozenset({2, 14, 52, 57, 121, 10334, 17280, 17419})
# The server, or its role, ended while the operation ran; or its time was up, which may be while it waited for the copies.
_INTERRUPTED = frozenset({50, 64, 91, 112, 189, 262, 11600, 11601, 11602})
_NOT_WRITABLE = frozenset({10107, 13435})
_DUPLICATE = 11000


def fault_of(error: Exception, *, writing: bool) -> StoreError:
    """The fault behind a driver's error.

    An error that the server reports is definite (one document's write is whole or not there), unless it reports that
    it was interrupted, or that the write was not yet safe.
    """
    match error:
        case BSONError() | OverflowError():
            return WriteRefused(f"mongodb cannot hold this: {_line(error)}")
        case BulkWriteError():
            return _of_bulk(error)
        case DuplicateKeyError():
            return duplicate(error.details or {})
        case WriteConcernError():
            return OutcomeUnknown(f"mongodb: not safe yet: {_line(error)}")
        case ServerSelectionTimeoutError() | WaitQueueTimeoutError():
            # The driver's own text goes on with the whole topology.
            cause = _line(error).partition(" (configured")[0].partition(", Timeout:")[0]
            return StoreUnavailable(f"MONGO_URL: no server there answers, or none that takes writes ({cause})")
        case NotPrimaryError() if _code(error.details) in _NOT_WRITABLE:
            return StoreUnavailable("mongodb: the server is not the primary (any more)")
        case OperationFailure():
            return _of_code(error, writing=writing)
        case ConfigurationError():
            return StoreUnavailable(f"MONGO_URL: {_line(error)}")
        case InvalidOperation():
            return StoreUnavailable(f"mongodb: nothing was sent: {_line(error)}")
        case _ if writing:
            return OutcomeUnknown(f"mongodb: no answer: {_line(error)}")
        case _:
            return StoreUnavailable(f"mongodb: no answer: {_line(error)}")


def refusal(details: Mapping[str, Any]) -> WriteRefused | None:
    """What one failed write of many means, if it is definite."""
    code = _code(details)
    if code == _DUPLICATE:
        return duplicate(details)
    return WriteRefused(f"mongodb refuses ({code})") if code in _REFUSED else None


def duplicate(details: Mapping[str, Any]) -> WriteRefused:
    """A unique index refused a document. Its message quotes values, so it is not repeated."""
    # Servers before 4.4 tell the index only in the message.
    where = str(details.get("keyPattern") or details.get("errmsg", ""))
    if PRICE_LINKS in where:
        return StaleVersion("a price version of this product is taken")
    if "skus" in where:
        return AlreadyExists("a SKU of this product belongs to another product")
    return AlreadyExists("this id is taken")


def _of_bulk(error: BulkWriteError) -> StoreError:
    # Which of them were written is told by `details`, to who looks; here nobody did.
    details = error.details or {}
    codes = [_code(failed) for failed in details.get("writeErrors", ())]
    return OutcomeUnknown(f"mongodb: some of many writes failed {codes} or are not safe yet")


def _of_code(error: OperationFailure, *, writing: bool) -> StoreError:
    code = error.code or 0
    if code in _LOGIN_REFUSED:
        return StoreUnavailable(
            f"MONGO_URL: the server refuses this user or password, or the user may not do this ({code})"
        )
    if code in _REFUSED and writing:
        return WriteRefused(f"mongodb refuses ({code})")
    unknown = writing and (code in _INTERRUPTED or not code or error.has_error_label("RetryableWriteError"))
    text = f"mongodb: {code} {_line(error)}"
    return OutcomeUnknown(text) if unknown else StoreUnavailable(text)


def _code(details: object) -> int:
    return int(details.get("code") or 0) if isinstance(details, Mapping) else 0


def _line(error: Exception) -> str:
    # The driver appends the server's whole answer.
    text = str(error).partition(", full error:")[0]
    return " ".join(text.split())[:200] or type(error).__name__
