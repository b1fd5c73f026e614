"""Where carts and rate limits are kept: what `REDIS_URL` says."""

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

DEFAULT_PORT = 6379
_FORM = "REDIS_URL must look like redis://user:password@host:port/0 or rediss://user:password@host:port/0"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisServer:
    """One Redis and one of its numbered databases. `tls`: from the first byte, by the system's authorities."""

    host: str
    port: int
    db: int
    tls: bool
    user: str
    password: str = field(repr=False)


def parse_redis_url(url: str) -> RedisServer:
    """The server of a URL. Raises `ValueError`, whose text does not repeat the URL: there is a password in it.

    A password without a user (`redis://:password@host`) is the default user's. Database 0 unless the path names another.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(_FORM) from None
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname or parts.fragment or port == 0:
        raise ValueError(_FORM)
    if parts.query:
        raise ValueError("REDIS_URL knows no parameters")
    db = parts.path.removeprefix("/") or "0"
    if not (db.isascii() and db.isdigit()) or len(db) > 4:
        raise ValueError(f"{_FORM}: behind the host stands the number of a database")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if user and not password:
        raise ValueError(f"{_FORM}: a user has a password")
    return RedisServer(
        host=parts.hostname,
        port=port or DEFAULT_PORT,
        db=int(db),
        tls=parts.scheme == "rediss",
        user=user,
        password=password,
    )
