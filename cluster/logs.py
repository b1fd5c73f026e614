"""Logs of a process: one JSON object a line, with whoever caused it, and without secrets.

Every record has `at` (UTC), `level`, `event`, `process`, and `correlation_id` (the request's id) where a request is
behind it. Libraries' own records take the same way. Who writes a log still decides what belongs there: masking is the
second line, for what slips into a message or comes out of a library.
"""

import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor

from cluster.tracing import cause

MASKED: Final = "***"
_TEXT_CHARS_MAX: Final = 16_384
_DEPTH_MAX: Final = 6

_SECRET_NAMES: Final = re.compile(
    r"passw|secret|token|authorization|cookie|api_?key|credential|e_?mail|phone|card|traceback_locals", re.IGNORECASE
)
# Each is linear in the length of the text: every repeat has a bound or cannot overlap with what follows.
_SECRETS_IN_TEXT: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]+", re.IGNORECASE), rf"\1 {MASKED}"),
    (re.compile(r"(?<![\w-])(?=[\w-]*\beyJ)[\w-]+\.[\w-]+(?:\.[\w-]*)?"), MASKED),  # a JWT, and what stands before it
    (re.compile(r"\b(?:sk|rk|pk|whsec|tok|pm|pi)_[A-Za-z0-9]\w{2,}"), MASKED),  # keys and tokens of payment gateways
    (re.compile(r"://[^\s/@:]{0,256}:[^\s/@]{1,256}@"), f"://{MASKED}@"),  # a password in a URL
    (
        re.compile(
            r"""(\b\w{0,32}(?:passw(?:or)?d|secret|token|api[-_]?key|authorization)["']?\s{0,3}[=:]\s{0,3}["']?)"""
            r"""(?!\*\*\*)(?!(?:bearer|basic)\b)[^\s"',;&)}\]]+""",
            re.IGNORECASE,
        ),
        rf"\1{MASKED}",
    ),
    (re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"), MASKED),  # an e-mail address
    (re.compile(r"\bDETAIL: .*"), f"DETAIL: {MASKED}"),  # PostgreSQL tells the row there
)


def configure_logs(process: str, stream: TextIO | None = None) -> None:
    """Have this process write JSON lines to `stream`, by default its standard output, which Ray keeps in a file.

    `process` is its name in each line. Called again: the last call counts.
    """
    # Not `sys.stdout`: in a replica Ray Serve puts a logger there, which drops what is no warning, and keeps the rest back.
    out = stream or sys.__stdout__ or sys.stdout
    structlog.configure(
        processors=[*_shared(process), mask, _render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(out),
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(json_formatter(process))
    root = logging.getLogger()
    for old in [found for found in root.handlers if isinstance(found.formatter, structlog.stdlib.ProcessorFormatter)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)


def json_formatter(process: str) -> logging.Formatter:
    """The same lines for a handler of the standard library's logging."""
    return structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, mask, _render],
        foreign_pre_chain=[*_shared(process), structlog.stdlib.add_logger_name],
    )


def _shared(process: str) -> list[Processor]:
    def with_process(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event["process"] = process
        if correlation_id := cause().correlation_id:
            event.setdefault("correlation_id", correlation_id)
        return event

    return [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        with_process,
        structlog.processors.format_exc_info,
    ]


def mask(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Without values that are secret by their name or by how they look, and without the ids of guests' carts."""
    return {name: _masked(name, value, 0) for name, value in event.items()}


def masked_text(text: str) -> str:
    """A text without what looks like a secret in it, and not longer than a log can bear."""
    if len(text) > _TEXT_CHARS_MAX:
        text = f"{text[:_TEXT_CHARS_MAX]}…"
    for pattern, replacement in _SECRETS_IN_TEXT:
        text = pattern.sub(replacement, text)
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def _masked(name: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if _SECRET_NAMES.search(name):
        return MASKED
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        return masked_text(value)
    if depth >= _DEPTH_MAX:
        return masked_text(repr(value))
    if isinstance(value, Mapping):
        return {str(key): _masked(str(key), inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, tuple) and len(value) == 2 and value[0] == "cart":
        return ("cart", _cart_name(str(value[1])))
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked("", inner, depth + 1) for inner in value]
    return masked_text(repr(value))


def _cart_name(cart_id: str) -> str:
    """Whoever knows the id of a guest's cart has the cart; an account's needs a login."""
    return cart_id if cart_id.startswith("usr_") else f"{cart_id[:4]}{MASKED}"


_encode: Callable[[Any], bytes] = msgspec.json.Encoder(enc_hook=repr).encode
_FIRST: Final = ("at", "level", "process", "event")


def _render(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    ordered = {name: event[name] for name in _FIRST if name in event}
    ordered.update((name, value) for name, value in event.items() if name not in _FIRST)
    return _encode(ordered).decode(errors="replace")
