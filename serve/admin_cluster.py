"""The cluster as administrators see it: its table, and what its processes say of themselves."""

import asyncio
from collections import Counter
from typing import Final

from cluster.host_reports import HostReports, Report
from persistence.ports import Ownership
from persistence.records import HostRow, ShardRow
from serve.clock import iso
from serve.schemas.admin import ClusterOut, HostOut, NodeOut, ProcessOut, ShardOut

_TOLD: Final = frozenset({"host", "incarnation", "shards"})


async def cluster_view(ownership: Ownership, reports: HostReports, now_ms: int) -> ClusterOut:
    """Hosts, nodes, shards. A process that does not answer in time is shown without its report.

    Raises `StoreError` if the table cannot be read.
    """
    hosts, shards, said = await asyncio.gather(ownership.hosts(), ownership.shards(), reports.describe())
    alive = {(host.host, host.incarnation) for host in hosts if host.expires_at_ms > now_ms}
    owned = Counter((shard.owner, shard.incarnation) for shard in shards)
    by_process = {report.process: report for report in said}
    shown = [_host(host, owned[host.host, host.incarnation], by_process.get(host.host), alive) for host in hosts]
    names = {host.host for host in hosts}
    return ClusterOut(
        as_of=iso(now_ms),
        ready=bool(shards) and all((shard.owner, shard.incarnation) in alive for shard in shards),
        nodes=_nodes(shown),
        hosts=sorted(shown, key=lambda host: (host.node, host.host)),
        processes=[
            ProcessOut(process=report.process, answered=report.said is not None, report=_plain(report))
            for report in said
            if report.process not in names
        ],
        shards=[_shard(shard, alive) for shard in sorted(shards, key=lambda shard: shard.shard)],
    )


def _host(host: HostRow, shards: int, report: Report | None, alive: set[tuple[str, str]]) -> HostOut:
    return HostOut(
        host=host.host,
        incarnation=host.incarnation,
        node=host.node,
        weight=host.weight,
        renewed_at=iso(host.renewed_at_ms),
        expires_at=iso(host.expires_at_ms),
        alive=(host.host, host.incarnation) in alive,
        shards=shards,
        answered=report is not None and report.said is not None,
        report=None if report is None else _plain(report),
    )


def _plain(report: Report) -> dict[str, object] | None:
    """What the process said, without what the table says already."""
    return None if report.said is None else {name: said for name, said in report.said.items() if name not in _TOLD}


def _nodes(hosts: list[HostOut]) -> list[NodeOut]:
    nodes = sorted({host.node for host in hosts})
    return [
        NodeOut(
            node=node,
            hosts=sum(host.node == node for host in hosts),
            alive=sum(host.node == node and host.alive for host in hosts),
            shards=sum(host.shards for host in hosts if host.node == node),
        )
        for node in nodes
    ]


def _shard(shard: ShardRow, alive: set[tuple[str, str]]) -> ShardOut:
    return ShardOut(
        shard=shard.shard,
        owner=shard.owner,
        epoch=shard.epoch,
        served=(shard.owner, shard.incarnation) in alive,
    )
