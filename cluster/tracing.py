"""What caused the work at hand (a request's id and its place in a trace), and spans that tell how long it took.

Causes always travel: from the request into envelopes, events and logs. Spans are made only after `start_tracing`, that
is when an OTLP endpoint is configured; without one, nothing of OpenTelemetry is even imported, and a span costs a look
at a variable. A trace begins at the edge (`begins=True`) or outside; what has no cause there makes no span.

Names and attributes of spans are words of the code, ids of orders, payments and SKUs, and numbers: never an e-mail, a
token, a cart's id (it opens the cart), a body or the message of an exception.
"""

import os
import re
import time
from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Self, TypeAlias

if TYPE_CHECKING:
    import asyncio
    from typing import Any

    from cluster.trace_export import SpanCounts, TraceExport

SpanKind: TypeAlias = Literal["internal", "server", "client", "consumer"]
Attribute: TypeAlias = str | int | float | bool

_ENDPOINT_VARIABLES: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
SHUTDOWN_TIMEOUT_MS: Final = 2_000

_export: "TraceExport | None" = None


class Cause(NamedTuple):
    """Behind everything this task does: the request's id, and a W3C traceparent ("" without one)."""

    correlation_id: str = ""
    traceparent: str = ""


_cause: ContextVar[Cause] = ContextVar("stampede_cause", default=Cause())  # noqa: B039 - it cannot be changed


def cause() -> Cause:
    """The cause of what runs now."""
    return _cause.get()


def set_cause(correlation_id: str, traceparent: str) -> Token[Cause]:
    """Have everything that this task does from now on be caused by this; give the token to `reset_cause`."""
    return _cause.set(Cause(correlation_id, traceparent))


def reset_cause(token: Token[Cause]) -> None:
    """As it was before `set_cause`."""
    _cause.reset(token)


def sane_traceparent(given: str) -> str:
    """The traceparent if it is one (version 00), else ""."""
    return given if _TRACEPARENT.fullmatch(given) else ""


class Span:
    """A span that is open, or, while tracing is off, nothing at all with the same methods.

    As a context manager it is the cause of what happens inside, and ends with it; what is raised marks it as failed,
    by the name of its type only.
    """

    __slots__ = ("_open", "_token", "traceparent")

    def __init__(self, traceparent: str, opened: "Any" = None) -> None:
        self.traceparent = traceparent
        """What others name as their cause: this span, or what was given for its parent."""
        self._open = opened
        self._token: Token[Cause] | None = None

    def __bool__(self) -> bool:
        return self._open is not None

    def name(self, name: str) -> None:
        """Call it something else, now that more is known."""
        if self._open is not None:
            self._open.update_name(name)

    def set(self, attribute: str, value: Attribute) -> None:
        """Say more about it."""
        if self._open is not None:
            self._open.set_attribute(attribute, value)

    def fail(self, kind: str) -> None:
        """Mark it as failed; `kind` is a code or the name of a type."""
        if self._open is not None and _export is not None:
            _export.fail(self._open, kind)

    def end(self) -> None:
        """It is over now."""
        if self._open is not None:
            self._open.end()

    def end_with(self, future: "asyncio.Future[Any]") -> None:
        """It is over, as this future is: a callback for it."""
        if future.cancelled():
            self.fail("cancelled")
        elif (error := future.exception()) is not None:
            self.fail(getattr(error, "code", type(error).__name__))
        self.end()

    def __enter__(self) -> Self:
        if self._open is not None:
            self._token = set_cause(_cause.get().correlation_id, self.traceparent)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._open is None:
            return
        if kind is not None:
            self.fail(kind.__name__)
        if self._token is not None:
            reset_cause(self._token)
        self.end()


def span(
    name: str,
    *,
    traceparent: str | None = None,
    kind: SpanKind = "internal",
    attributes: Mapping[str, Attribute] | None = None,
    begins: bool = False,
) -> Span:
    """Open a span below `traceparent` (by default: below the cause of what runs now).

    Without one it is nothing, unless it `begins` a trace. Use it in a `with`, or call `end` yourself.
    """
    parent = _cause.get().traceparent if traceparent is None else traceparent
    if _export is None or not (parent or begins):
        return Span(parent)
    opened, own = _export.open(name, parent, kind, attributes)
    return Span(own, opened)


def past_span(
    name: str,
    traceparent: str,
    duration_s: float,
    *,
    kind: SpanKind = "internal",
    attributes: Mapping[str, Attribute] | None = None,
) -> None:
    """A span of something that ended just now, known only afterwards."""
    if _export is not None and traceparent:
        end_ns = time.time_ns()
        opened, _ = _export.open(name, traceparent, kind, attributes, begin_ns=end_ns - int(duration_s * 1e9))
        opened.end(end_ns)


def tracing() -> bool:
    """Whether spans are made at all."""
    return _export is not None


def span_counts() -> "SpanCounts | None":
    """What became of the spans so far; None while tracing is off."""
    return None if _export is None else _export.counts


def tracing_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the environment (OpenTelemetry's own variables) asks for traces."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return any(environment.get(variable) for variable in _ENDPOINT_VARIABLES)


def start_tracing(process: str) -> bool:
    """Export spans of this process if the environment names an OTLP endpoint; whether it does.

    `process` is its name in the traces (`service.instance.id`); `OTEL_SERVICE_NAME` names the service. Started
    already: does nothing.
    """
    global _export  # noqa: PLW0603 - one a process, as there is one environment
    if _export is None and tracing_wanted(os.environ):
        from cluster.trace_export import TraceExport  # noqa: PLC0415 - OpenTelemetry is imported only if it is used

        _export = TraceExport(process)
    return _export is not None


def stop_tracing(timeout_ms: int = SHUTDOWN_TIMEOUT_MS) -> None:
    """Send what is left, for `timeout_ms` at most, and make no more spans. Blocks: call it in a thread."""
    global _export
    export, _export = _export, None
    if export is not None:
        export.close(timeout_ms)
