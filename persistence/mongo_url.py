"""Where the catalog is kept: what `MONGO_URL` says."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

DEFAULT_DATABASE = "catalog"
_FORM = (
    "MONGO_URL must look like mongodb://user:password@host:port/database or mongodb+srv://user:password@host/database"
)
_NAME_BYTES_MAX = 63
_NOT_IN_NAMES = frozenset('/\\. "$*<>:|?\0')


@dataclass(frozen=True, slots=True, kw_only=True)
class MongoServer:
    """A MongoDB (or a replica set) and the database in it. `url` is the driver's, options and password included."""

    url: str = field(repr=False)
    database: str


def parse_mongo_url(url: str) -> MongoServer:
    """The server of a URL. Raises `ValueError`, whose text does not repeat the URL: there is a password in it.

    Without a database it is `catalog`, and the user's own database is `admin`. Several hosts of a replica set are
    separated by commas. The options are the driver's; what the catalog's promises rest on (write and read concern,
    primary, time-outs) is set by us, whatever they say.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(_FORM) from None
    login, _, hosts = parts.netloc.rpartition("@")
    if parts.scheme not in {"mongodb", "mongodb+srv"} or parts.fragment or not all(hosts.split(",")):
        raise ValueError(_FORM)
    if "@" in login or login.count(":") > 1:
        raise ValueError(f"{_FORM}; write : / ? # @ of a user or password as %3A %2F %3F %23 %40")
    database = parts.path.removeprefix("/") or DEFAULT_DATABASE
    if not _NOT_IN_NAMES.isdisjoint(database) or len(database.encode()) > _NAME_BYTES_MAX:
        raise ValueError(f"{_FORM}: that is no name of a database")
    return MongoServer(url=url, database=database)
