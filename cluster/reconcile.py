"""What a host has to do about the shards table. Pure: rows in, plan out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from cluster.allocation import allocate, members
from persistence.records import HostRow, ShardRow


@dataclass(slots=True)
class Plan:
    """What a round found.

    `claim`: take these, the ones meant for us first. `hand_on`: give these (row, to whom) away.
    `lost`: rows of shards we serve and another owns. `orphans`: shards without a living owner.
    """

    claim: list[int] = field(default_factory=list)
    hand_on: list[tuple[ShardRow, HostRow]] = field(default_factory=list)
    lost: list[ShardRow] = field(default_factory=list)
    orphans: set[int] = field(default_factory=set)


def plan(
    rows: Iterable[ShardRow],
    hosts: Iterable[HostRow],
    me: tuple[str, str],
    *,
    served: Mapping[int, int],
    overdue: Callable[[int], bool],
    shard_count: int,
) -> Plan:
    """Compare the table with what rendezvous hashing over the live rows wants.

    `served` maps the shards that run here to their epoch. An orphan that is meant for another host is
    taken only when `overdue(shard)`: its rightful owner had its chance, and a second recovery is dear.
    """
    live = list(hosts)
    alive = {(row.host, row.incarnation) for row in live}
    chosen = members(live)
    wanted = allocate({host: row.weight for host, row in chosen.items()}, shard_count)
    result = Plan()
    later: list[int] = []
    for row in rows:
        owner = (row.owner or "", row.incarnation or "")
        to = chosen[wanted[row.shard]] if wanted else None
        meant_for_us = to is None or (to.host, to.incarnation) == me
        if owner == me:
            if to is not None and not meant_for_us:
                result.hand_on.append((row, to))
            elif row.shard not in served:
                result.claim.append(row.shard)
        elif owner not in alive:
            result.orphans.add(row.shard)
            if row.shard in served:
                continue  # read before our own claim; the next round knows better
            if meant_for_us:
                result.claim.append(row.shard)
            elif overdue(row.shard):
                later.append(row.shard)
        elif row.shard in served and row.epoch >= served[row.shard]:
            result.lost.append(row)  # with a lower epoch, the row was read before our claim
    result.claim.extend(later)
    return result
