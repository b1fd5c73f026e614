"""Where products are searched: what `OPENSEARCH_URL` says."""

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

_FORM: Final = "OPENSEARCH_URL must look like http://host:9200 or https://user:password@host:9200"
_PREFIX: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
_PORT: Final = 9200


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSearchServer:
    """A server, what the names of its indexes begin with, and the file of the authority that signed its certificate."""

    host: str
    port: int
    tls: bool
    path: str
    user: str
    password: str = field(repr=False)
    prefix: str
    ca: str | None


def parse_opensearch_url(url: str) -> OpenSearchServer:
    """The server of a URL. Raises `ValueError`, whose text does not repeat the URL: there is a password in it.

    `?prefix=shop` begins the names of the indexes (else `stampede`), so that several shops share a server;
    `?ca=/path/ca.pem` is trusted instead of the machine's own authorities.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(_FORM) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.fragment:
        raise ValueError(_FORM)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise ValueError(f"{_FORM}: a user and a password, or neither")
    asked = parse_qs(parts.query, keep_blank_values=True)
    if set(asked) - {"prefix", "ca"} or any(len(values) != 1 for values in asked.values()):
        raise ValueError("OPENSEARCH_URL knows two parameters, prefix and ca, each once")
    prefix = asked.get("prefix", ["stampede"])[0]
    if not _PREFIX.fullmatch(prefix):
        raise ValueError("prefix in OPENSEARCH_URL must be at most 40 of a-z, 0-9 and -, a letter first")
    ca = asked.get("ca", [None])[0]
    if ca is not None and (parts.scheme != "https" or not ca):
        raise ValueError("ca in OPENSEARCH_URL must be the path of a file, and needs https")
    return OpenSearchServer(
        host=parts.hostname,
        port=port or _PORT,
        tls=parts.scheme == "https",
        path=parts.path.strip("/"),
        user=user,
        password=password,
        prefix=prefix,
        ca=ca,
    )
