"""What a failed statement means: refused, not run, or unknown. The one place that reads the driver's errors."""

import asyncpg

from persistence.errors import AlreadyExists, OutcomeUnknown, StoreError, StoreUnavailable, WriteRefused

DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""All that asyncpg raises for a fault of the server, the connection or the data. `TimeoutError` is an `OSError`."""

_UNIQUE_VIOLATION = "23505"
_REFUSED_CLASSES = ("21", "22", "23")
# A session that is ended tells so at any point, also behind its commit: those say nothing about the statement.
_SESSION_ENDED = ("57P01", "57P02", "57P05", "25P03")
_CONNECTION_CLASS = "08"


def fault_of(error: Exception, *, writing: bool) -> StoreError:
    """The fault behind a driver's error that a *sent* statement met.

    An error that the server reports is definite (it rolled back), unless it reports the end of the session.
    A value that the driver could not encode comes as class 22, like one that the server refused.
    """
    match error:
        case asyncpg.PostgresError():
            return _of_sqlstate(error, writing=writing)
        case asyncpg.InterfaceError():
            return StoreUnavailable(f"nothing was sent: {error}")
        case _ if writing:
            return OutcomeUnknown(f"no answer: {error!r}")
        case _:
            return StoreUnavailable(f"no answer: {error!r}")


def _of_sqlstate(error: asyncpg.PostgresError, *, writing: bool) -> StoreError:
    state = error.sqlstate or ""
    if state == _UNIQUE_VIOLATION:
        return AlreadyExists(_describe(error))
    if state.startswith(_REFUSED_CLASSES):
        return WriteRefused(_describe(error))
    if writing and (state in _SESSION_ENDED or state.startswith(_CONNECTION_CLASS) or not state):
        return OutcomeUnknown(_describe(error))
    return StoreUnavailable(_describe(error))


def _describe(error: asyncpg.PostgresError) -> str:
    # Not the detail: it quotes values, and values may be personal.
    constraint = getattr(error, "constraint_name", None)
    return f"{error.sqlstate} {error.args[0] if error.args else ''}" + (f" ({constraint})" if constraint else "")
