"""How many hosts a node should have, and what to do about those that are missing or lost. Pure.

Names carry everything: `host-<node>-<i>-<incarnation>` is the actor of host `<node>-<i>`. What the supervisor
remembers (`Memory`) only makes it more patient; it may forget all of it at any time.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from cluster.settings import ClusterSettings
from persistence.records import HostRow

_NAME = re.compile(r"host-(?P<node>[^-]+)-(?P<index>\d+)-(?P<incarnation>[^-]+)")
_START_AGAIN_MS = 3_000


@dataclass(frozen=True, slots=True, order=True)
class HostName:
    """The parts of a host actor's name; none contains a dash."""

    node: str
    index: int
    incarnation: str

    @property
    def actor_name(self) -> str:
        """The actor's name, unique for ever: a frozen actor never stands in its successor's way."""
        return f"host-{self.node}-{self.index}-{self.incarnation}"

    @property
    def host(self) -> str:
        """The host's stable name."""
        return f"{self.node}-{self.index}"

    @classmethod
    def parse(cls, actor_name: str) -> "HostName | None":
        """None for an actor that is no host."""
        match = _NAME.fullmatch(actor_name)
        return cls(match["node"], int(match["index"]), match["incarnation"]) if match else None


@dataclass(frozen=True, slots=True)
class StartHost:
    """Start a host in this place."""

    node: str
    index: int


@dataclass(frozen=True, slots=True)
class ReportExit:
    """The actor of this row is gone, and its own node, which lives, says so: bury it whatever its lease says."""

    row: HostRow


@dataclass(frozen=True, slots=True)
class KillHost:
    """End a host that lost its place: its successor may be at work, its own appends are fenced."""

    actor_name: str


Action = StartHost | ReportExit | KillHost


@dataclass(slots=True)
class Memory:
    """When each actor was first seen, and its row last, and when each place was last filled (ms, any steady clock)."""

    first_seen_ms: dict[str, int] = field(default_factory=dict)
    row_seen_ms: dict[str, int] = field(default_factory=dict)
    started_ms: dict[tuple[str, int], int] = field(default_factory=dict)

    def observe(self, names: Iterable[str], rows: Iterable[HostRow], now_ms: int) -> None:
        """Take in one look at the cluster."""
        present = set(names)
        self.first_seen_ms = {name: self.first_seen_ms.get(name, now_ms) for name in present}
        self.row_seen_ms = {name: at for name, at in self.row_seen_ms.items() if name in present}
        self.row_seen_ms.update((row.actor_name, now_ms) for row in rows if row.actor_name in present)

    def note(self, action: Action, now_ms: int) -> None:
        """Take in what was done."""
        match action:
            case StartHost():
                self.started_ms[action.node, action.index] = now_ms
            case ReportExit() | KillHost():
                pass
            case _:
                assert_never(action)


def hosts_wanted(cores: int, settings: ClusterSettings) -> int:
    """Hosts of a node: the setting, or max(1, cores - 1)."""
    return settings.hosts_per_node or max(1, cores - 1)


def decide(
    nodes: Mapping[str, int],
    names: Iterable[str],
    rows: Iterable[HostRow],
    memory: Memory,
    settings: ClusterSettings,
    now_ms: int,
) -> list[Action]:
    """What to do now. `memory` must have observed the same look at the cluster.

    `nodes` maps each live node to its cores, `names` are the actors that exist. `rows` must have been read *before*
    `names`, or a host that starts just then looks like one that died.
    """
    actors = [name for name in map(HostName.parse, sorted(names)) if name is not None]
    existing = {actor.actor_name for actor in actors}
    with_row = {row.actor_name for row in rows}
    actions: list[Action] = [ReportExit(row) for row in rows if row.actor_name not in existing and row.node in nodes]
    for node, cores in sorted(nodes.items()):
        for index in range(hosts_wanted(cores, settings)):
            place = [actor for actor in actors if (actor.node, actor.index) == (node, index)]
            actions.extend(_fill(StartHost(node, index), place, with_row, memory, settings, now_ms))
    return actions


def _fill(
    start: StartHost, place: list[HostName], with_row: set[str], memory: Memory, settings: ClusterSettings, now_ms: int
) -> list[Action]:
    standing = [actor for actor in place if _stands(actor.actor_name, with_row, memory, settings, now_ms)]
    if not standing:
        started_ms = memory.started_ms.get((start.node, start.index))
        again = started_ms is None or now_ms - started_ms >= _START_AGAIN_MS
        kills = _kills(place, memory, settings, now_ms)
        return [*kills, start] if again else kills
    rivals = [actor for actor in standing if actor.actor_name in with_row]
    older = rivals[:-1]  # two incarnations in one place: the newer one stays
    return _kills([actor for actor in place if actor not in standing] + older, memory, settings, now_ms)


def _stands(actor_name: str, with_row: set[str], memory: Memory, settings: ClusterSettings, now_ms: int) -> bool:
    """Whether this actor fills its place: it has a row, had one until just now, or is still starting."""
    if actor_name in with_row:
        return True
    row_seen_ms = memory.row_seen_ms.get(actor_name)
    if row_seen_ms is not None:
        return now_ms - row_seen_ms < settings.host_rejoin_ms
    return now_ms - memory.first_seen_ms[actor_name] < settings.host_grace_ms


def _kills(actors: list[HostName], memory: Memory, settings: ClusterSettings, now_ms: int) -> list[Action]:
    return [
        KillHost(actor.actor_name)
        for actor in actors
        if now_ms - memory.first_seen_ms[actor.actor_name] >= settings.host_grace_ms
    ]
