"""What a failed command means: not run, or unknown. The one place that reads the driver's errors."""

from redis import exceptions as driver

from persistence.errors import OutcomeUnknown, StoreError, StoreUnavailable

DRIVER_ERRORS = (driver.RedisError, OSError)
"""All that redis-py raises for a fault of the server or the connection. `TimeoutError` is an `OSError`."""

_NOT_RUN = (
    driver.BusyLoadingError,
    driver.ReadOnlyError,
    driver.OutOfMemoryError,
    driver.NoPermissionError,
    driver.NoScriptError,
    driver.AuthenticationError,
    driver.MaxConnectionsError,
)
# Our scripts begin with `#!lua`, so the server judges these before it runs the first line.
_NOT_RUN_WORDS = frozenset({"MISCONF", "NOREPLICAS", "BUSY", "CROSSSLOT", "CLUSTERDOWN", "MASTERDOWN", "NOAUTH"})


def fault_of(error: Exception, *, writing: bool) -> StoreError:
    """The fault behind a driver's error that a *sent* command met.

    A script that failed half way has written its first half: Redis takes nothing back.
    """
    if isinstance(error, _NOT_RUN):
        return StoreUnavailable(f"the server ran nothing: {describe(error)}")
    if isinstance(error, driver.ResponseError):
        words = str(error).split(maxsplit=1)
        if not writing or (words and words[0] in _NOT_RUN_WORDS):
            return StoreUnavailable(f"the server refused: {describe(error)}")
        return OutcomeUnknown(f"the server broke off: {describe(error)}")
    fault = OutcomeUnknown if writing else StoreUnavailable
    return fault(f"no answer: {describe(error)}")


def describe(error: Exception) -> str:
    """Its kind and text in one line. redis-py's texts name host, port and what the server said, never a password."""
    if isinstance(error, TimeoutError):
        return "none in time"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
