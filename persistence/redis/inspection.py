"""Whether a server is one that carts may be trusted to: asked once, when the platform starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from persistence.errors import StoreError, StoreUnavailable
from persistence.redis.carts import RedisCarts
from persistence.redis.server import RedisConnections
from persistence.redis_url import parse_redis_url

OLDEST_MAJOR = 7
_PATIENCE_MS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was found. `unusable`: why it cannot be used; `unsafe`: why it may lose carts; `unknown`: what it hid."""

    unusable: str = ""
    unsafe: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


async def inspect_server(url: str) -> Inspection:
    """Ask the server of this URL what it is, and whether it would take a write. Writes nothing, raises nothing."""
    connections = RedisConnections(
        parse_redis_url(url), connections_max=1, connect_timeout_ms=_PATIENCE_MS, answer_timeout_ms=_PATIENCE_MS
    )
    try:
        return await _inspect(connections)
    except StoreError as error:
        return Inspection(unusable=str(error))
    finally:
        await connections.close()


async def _inspect(connections: RedisConnections) -> Inspection:
    await connections.read(("PING",))
    unknown: list[str] = []
    info: Mapping[str, str] = {}
    appendfsync = ""
    try:
        info = _parsed((await connections.read(("INFO",)))[0])
    except StoreUnavailable:
        unknown.append("whether it keeps an append-only file, and whether it evicts (INFO is refused)")
    else:
        unusable = _why_unusable(info)
        if unusable:
            return Inspection(unusable=unusable)
    try:
        ((_, value),) = await connections.read(("CONFIG", "GET", "appendfsync"))
        appendfsync = value.decode()
    except StoreUnavailable:
        unknown.append("how often its append-only file is brought to the disk (CONFIG GET is refused)")
    await RedisCarts(connections).probe()
    return Inspection(unsafe=tuple(_why_unsafe(info, appendfsync)), unknown=tuple(unknown))


def _parsed(info: bytes) -> Mapping[str, str]:
    lines = (line.partition(":") for line in info.decode(errors="replace").splitlines() if not line.startswith("#"))
    return {name: value for name, _, value in lines}


def _why_unusable(info: Mapping[str, str]) -> str:
    version = info.get("redis_version", "0")
    major = version.partition(".")[0]
    if not major.isdigit() or int(major) < OLDEST_MAJOR:
        return f"it is version {version}, and {OLDEST_MAJOR}.0 or newer is needed"
    if info.get("cluster_enabled") == "1":
        return "it is in cluster mode, in which several keys cannot be written together"
    if info.get("role") == "slave":
        return "it is a replica and takes no writes"
    return ""


def _why_unsafe(info: Mapping[str, str], appendfsync: str) -> Sequence[str]:
    found = []
    if info.get("aof_enabled") == "0":
        found.append("it keeps no append-only file (appendonly no): carts are lost with its process")
    elif appendfsync == "no":
        found.append("its append-only file is not brought to the disk (appendfsync no)")
    policy = info.get("maxmemory_policy", "noeviction")
    if info.get("maxmemory", "0") != "0" and policy != "noeviction":
        found.append(f"it evicts when its memory is full (maxmemory-policy {policy}): carts are lost")
    return found
