"""Where mail is handed over: what `SMTP_URL` and `STAMPEDE_MAIL_FROM` say."""

from dataclasses import dataclass
from email.utils import parseaddr
from typing import Literal, get_args
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

StartTls = Literal["required", "offered", "off"]
_FORM = "SMTP_URL must look like smtp://user:password@host:port or smtps://user:password@host:port"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """A mail server. `tls`: from the first byte; else `starttls` says whether the connection becomes encrypted."""

    host: str
    port: int
    tls: bool
    starttls: StartTls
    user: str
    password: str


def parse_smtp_url(url: str) -> SmtpServer:
    """The server of a URL. Raises `ValueError`, whose text does not repeat the URL: there is a password in it.

    Ports, unless given: smtps 465, smtp 587 with a user and 25 without. With a user STARTTLS is required, unless the
    server is this machine: a password does not travel in the clear. Without one it is used when the server offers it.
    `?starttls=required|offered|off` says otherwise.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(_FORM) from None
    host = parts.hostname
    if parts.scheme not in {"smtp", "smtps"} or not host or parts.path not in {"", "/"} or parts.fragment:
        raise ValueError(_FORM)
    tls = parts.scheme == "smtps"
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise ValueError(f"{_FORM}: a user and a password, or neither")
    return SmtpServer(
        host=host,
        port=port or (465 if tls else 587 if user else 25),
        tls=tls,
        starttls=_starttls(parts, host, user),
        user=user,
        password=password,
    )


def _starttls(parts: SplitResult, host: str, user: str) -> StartTls:
    asked = parse_qs(parts.query, keep_blank_values=True)
    if set(asked) - {"starttls"} or len(asked.get("starttls", [""])) != 1:
        raise ValueError("SMTP_URL knows one parameter, starttls")
    if not asked:
        local = host in {"localhost", "::1"} or host.startswith("127.")
        return "required" if user and not local else "offered"
    for choice in get_args(StartTls):
        if asked["starttls"] == [choice]:
            return choice  # type: ignore[no-any-return] # one of the literal's own
    raise ValueError("starttls in SMTP_URL must be required, offered or off")


def parse_sender(text: str) -> tuple[str, str]:
    """(name, address) of `Shop <shop@example.com>` or a bare address. Raises `ValueError`."""
    name, address = parseaddr(text)
    local, at, domain = address.rpartition("@")
    plain = text.isprintable() and address.isascii() and " " not in address
    if not (local and at and domain and plain) or domain.startswith(".") or domain.endswith("."):
        raise ValueError("STAMPEDE_MAIL_FROM must look like Shop <shop@example.com>")
    return name, address
