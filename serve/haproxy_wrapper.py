"""Stands in for the HAProxy binary that Ray Serve starts: corrects the generated configuration, then becomes HAProxy.

Run as `python -IS haproxy_wrapper.py HAPROXY [HAProxy's arguments]`, on every start and reload. It imports nothing but
the standard library, because it is in the way of every reload. Ray checks the pid and the `-f` argument of what it
started, so the file is corrected in place and this process is replaced by HAProxy.

Guarantee: HAProxy runs with all corrections or not at all. If Ray's template changes so that one of them no longer
fits, this exits with the reason on stderr; Ray logs it and, on a reload, keeps the process that runs.
"""

import ctypes
import os
import re
import signal
import sys
from typing import NamedTuple

_EX_USAGE, _EX_CONFIG = 64, 78
_PR_SET_PDEATHSIG = 1
_MARK = "# corrected by stampede\n"


def _problem(status: int, code: str, title: str) -> str:
    """The arguments of an HAProxy answer: a problem+json body, and Retry-After where repeating may help."""
    body = f'{{"type":"urn:stampede:problem:{code}","title":"{title}","status":{status},"code":"{code}"}}'.replace(
        '"', '\\"'
    )
    retry = " hdr Retry-After 1" if status > 500 else ""
    return f'content-type application/problem+json string "{body}"{retry}'


_UNAVAILABLE = _problem(503, "unavailable", "Not available at the moment: repeat the request")

# HAProxy's own answers. Ray turns 502 to 504 into a plain 500, which no client would repeat.
# (Where it cannot even read the headers, it keeps to its built-in pages.)
_ERRORS = "".join(
    f"    http-error status {status} {_problem(status, code, title)}\n"
    for status, code, title in (
        (400, "malformed-request", "The request could not be read"),
        (404, "not-found", "There is no such resource"),
        (408, "request-timeout", "The request did not arrive in time"),
        (500, "internal-error", "Something went wrong on our side"),
        (502, "outcome-unknown", "The outcome is not known: repeat the same request"),
        (503, "unavailable", "Not available at the moment: repeat the request"),
        (504, "outcome-unknown", "The outcome is not known: repeat the same request"),
    )
)

# - Headers and the first 16 KiB of a body must arrive within 10 s, before a replica hears of the request.
# - A replica under load answers its health check late. Without `timeout check` the interval would be the limit, and the
#   only replica be taken out at its peak. A dead one is known by its refusals all the same.
# - What a replica cannot take at once waits here, in turn and for 1 s; whoever leaves meanwhile is forgotten.
_DEFAULTS = (
    "timeout http-request 10s",
    "option http-buffer-request",
    "timeout check 5s",
    "timeout queue 1s",
    "option forwardfor",
)
_REPLICA_REQUESTS_MAX = 512

# These name the client. Nobody is believed who is not a trusted proxy; HAProxy then adds the address it sees.
_CLIENT_HEADERS = (
    "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-real-ip", "forwarded",
)  # fmt: skip
_TRUSTED_PROXIES_VARIABLE = "STAMPEDE_HTTP_TRUSTED_PROXIES"
# Serve itself is told loopback, and its replicas with it: they may be reached through HAProxy only.
_BIND_VARIABLE = "STAMPEDE_HTTP_BIND"


class Correction(NamedTuple):
    """One substitution, or with `keep` an addition behind what matched.

    `required` ones must fit at least once, and afterwards `absent` may not occur any more.
    """

    what: str
    pattern: str
    replacement: str
    keep: bool = False
    required: bool = True
    absent: str | None = None


def _corrections(bind: str, trusted_proxies: str) -> tuple[Correction, ...]:
    unless = f" unless {{ src {trusted_proxies} }}" if trusted_proxies else ""
    header_rules = [
        # These two steer Ray Serve. A client may not shorten a request's time. That a request ends with its client is
        # what nobody here wants, an order least of all, and watching for it costs a task a request (measured: 17 %).
        "    http-request del-header x-request-timeout-seconds",
        "    http-request set-header x-request-disconnect-disabled ?1",
        *(f"    http-request del-header {name}{unless}" for name in _CLIENT_HEADERS),
        # Ray Serve's own pages are for HAProxy and the controller, which ask replicas directly.
        "    http-request deny deny_status 404 if { path_beg /-/ }",
        # Ray Serve's own refusals (overload, draining) are plain text.
        f"    http-response return status 503 {_UNAVAILABLE} if {{ status 503 }} {{ res.hdr(content-type) -m beg text/plain }}",
    ]
    return (
        Correction("no public metrics", r"^frontend prometheus\n(?:[ \t]+.*\n)+", "", absent="prometheus-exporter"),
        Correction("no public statistics", r"^listen stats\n(?:[ \t]+.*\n)+", "", absent=r"^\s*stats enable"),
        Correction("a private admin socket", r" mode 666 level admin", " mode 600 level admin", absent="mode 666"),
        # Otherwise a datagram per request goes to whoever listens on the syslog port.
        Correction(
            "no log",
            r"^ +(?:log (?:global|\S+ local0 info)|option (?:httplog|log-health-checks))\n",
            "",
            absent=r"^ +log ",
        ),
        Correction(
            "limits on slow clients, patience with busy replicas, the client's address",
            r"^(defaults\n    mode http\n)",
            "".join(f"    {line}\n" for line in _DEFAULTS),
            keep=True,
        ),
        Correction(
            "problems for HAProxy's own errors", r"^(?:    errorfile \d{3} .*\n){3}", _ERRORS, absent=r"^ *errorfile "
        ),
        Correction(
            "the public address, untrusted headers removed",
            r"^frontend http_frontend\n    bind .*\n",
            "".join(f"{line}\n" for line in ("frontend http_frontend", f"    bind {bind}", *header_rules)),
        ),
        Correction(
            "503 while nothing is deployed",
            r"^    http-request return status 404 .*\n",
            f"    http-request return status 503 {_UNAVAILABLE}\n",
            absent="return status 404",
        ),
        Correction(
            "a bound on what a replica has in work",
            r"^    default-server (?!maxconn)",
            f"    default-server maxconn {_REPLICA_REQUESTS_MAX} ",
            required=False,
            absent=r"^    default-server (?!maxconn)",
        ),
        # The Python proxy behind the replicas waits for one and may send a request twice; a 503 is honest and quick.
        Correction(
            "no fallback proxy",
            r"^    server SERVE_PROXY_ACTOR-\S+ .* backup\n",
            "",
            required=False,
            absent=r" backup$",
        ),
    )


class DoesNotFit(Exception):
    """A correction found nothing to correct, or left something over."""


def correct(config: str, bind: str, trusted_proxies: str = "") -> str:
    """The configuration with all corrections, or as it is when it has them. Raises `DoesNotFit`.

    `bind`: HOST:PORT to listen on. `trusted_proxies`: addresses or networks, with commas or blanks between, whose
    X-Forwarded-* headers stay.
    """
    if config.startswith(_MARK):
        return config
    if not re.fullmatch(r"[\w.:*\[\]-]+:\d+", bind):
        raise DoesNotFit(f"{_BIND_VARIABLE} is not an address and port")
    if not re.fullmatch(r"[0-9A-Fa-f:./, ]*", trusted_proxies):
        raise DoesNotFit(f"{_TRUSTED_PROXIES_VARIABLE} is not a list of addresses")
    for correction in _corrections(bind, " ".join(trusted_proxies.replace(",", " ").split())):
        config = _apply(correction, config)
    return _MARK + config


def _apply(correction: Correction, config: str) -> str:
    def replace(match: re.Match[str]) -> str:
        return (match.group() if correction.keep else "") + correction.replacement

    config, times = re.subn(correction.pattern, replace, config, flags=re.MULTILINE)
    if correction.required and times == 0:
        raise DoesNotFit(f"'{correction.what}' does not fit Ray's HAProxy configuration")
    if correction.absent and re.search(correction.absent, config, flags=re.MULTILINE):
        raise DoesNotFit(f"'{correction.what}' left something over in Ray's HAProxy configuration")
    return config


def _correct_file(path: str) -> None:
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib would cost each reload as much as all of this
        config = correct(file.read(), os.environ.get(_BIND_VARIABLE, ""), os.environ.get(_TRUSTED_PROXIES_VARIABLE, ""))
    draft = f"{path}.{os.getpid()}"
    with open(draft, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(config)
    os.replace(draft, path)  # noqa: PTH105 - as above


def _is_valid(haproxy: str, path: str) -> bool:
    check = os.posix_spawn(haproxy, [haproxy, "-c", "-f", path], os.environ)
    return os.waitstatus_to_exitcode(os.waitpid(check, 0)[1]) == 0


def _die_with(parent: int) -> None:
    """Linux: have the kernel kill this process when the one that started it ends, so that no HAProxy outlives it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit("the process that started HAProxy is gone")


def main(argv: list[str]) -> None:
    """Correct, check, become HAProxy. Exit status 64 for wrong arguments, 78 for a configuration that will not do."""
    parent = os.getppid()
    try:
        haproxy, path = argv[1], argv[argv.index("-f") + 1]
    except (IndexError, ValueError):
        sys.stderr.write("usage: haproxy_wrapper.py HAPROXY ... -f CONFIGURATION ...\n")
        raise SystemExit(_EX_USAGE) from None
    try:
        _correct_file(path)
    except DoesNotFit as reason:
        sys.stderr.write(f"HAProxy is not started: {reason}\n")
        raise SystemExit(_EX_CONFIG) from None
    if not _is_valid(haproxy, path):
        sys.stderr.write(f"HAProxy is not started: it refuses {path}\n")
        raise SystemExit(_EX_CONFIG)
    _die_with(parent)
    os.execv(haproxy, argv[1:])  # noqa: S606 - what Ray asked for


if __name__ == "__main__":
    main(sys.argv)
