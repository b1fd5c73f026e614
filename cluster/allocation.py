"""Which host should own which shard: weighted rendezvous hashing. Pure, and the same on every host."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from math import log

from cluster.hashing import SHARD_COUNT
from persistence.records import HostRow

_SCALE = 1 << 64


def members(rows: Iterable[HostRow]) -> dict[str, HostRow]:
    """One row a host. Of two processes in one place the later wins (names grow with time), and of its incarnations.

    Two stand in one place when a frozen host was replaced and then came back: the supervisor ends the earlier one.
    """
    newest: dict[str, HostRow] = {}
    for row in rows:
        known = newest.get(row.host)
        if known is None or age(known) < age(row):
            newest[row.host] = row
    return newest


def age(row: HostRow) -> tuple[str, str]:
    """Orders the rows of one host by time."""
    return row.actor_name, row.incarnation


def score(host: str, shard: int, weight: float) -> float:
    """How much this host wants this shard: -weight / ln(u), u in (0, 1) from the hash of both."""
    digest = blake2b(f"{shard}/{host}".encode(), digest_size=8).digest()
    return -weight / log((int.from_bytes(digest, "big") + 0.5) / _SCALE)


def allocate(weights: Mapping[str, float], shard_count: int = SHARD_COUNT) -> Mapping[int, str]:
    """The owner of every shard, each host getting a share like its weight. Weight 0 gets nothing (drain).

    Adding a host moves only shards to it, removing one only those it had, changing a weight only shards to or
    from that host. Empty when no host has weight.
    """
    return _allocate(tuple(sorted((host, weight) for host, weight in weights.items() if weight > 0)), shard_count)


@lru_cache(maxsize=4)  # asked twice a second, changed when a host comes or goes
def _allocate(willing: tuple[tuple[str, float], ...], shard_count: int) -> Mapping[int, str]:
    if not willing:
        return {}
    return {
        shard: max(willing, key=lambda member: (score(member[0], shard, member[1]), member[0]))[0]
        for shard in range(shard_count)
    }
