"""What must hold at every moment, not only at the end."""

from collections import Counter
from typing import TYPE_CHECKING

from cluster.gate import Phase
from persistence.records import JOURNAL_SERVICES, JournalService, PaymentRow
from tests.simulation.faults import StoreLink
from tests.simulation.history import History
from tests.simulation.world import SHARDS

if TYPE_CHECKING:
    from tests.simulation.world import World

AFTER_THAW_S = (0.0, 0.0005, 0.001, 0.002, 0.004, 0.01, 0.03, 0.1)
LOOK_EVERY_S = 0.05


class LiveChecks:
    """I8 and I9 after every append; and at most one process that can prove that a shard is its own."""

    def __init__(self, world: "World", history: History) -> None:
        self._world = world
        self._history = history
        self._versions: dict[JournalService, Counter[str]] = {service: Counter() for service in JOURNAL_SERVICES}
        self._read: Counter[tuple[str, int]] = Counter()
        self._told: set[str] = set()
        world.on_ran.append(self.ran)
        world.on_thaw.append(self.thawed)
        world.loop.call_later(LOOK_EVERY_S, self._look)

    def ran(self, _link: StoreLink, name: str) -> None:
        """A statement has just run."""
        service, _, call = name.partition(".")
        if call != "append":
            return
        for known in JOURNAL_SERVICES:
            if known == service:
                self._count(known)
                self._compare(known)

    def _count(self, service: JournalService) -> None:
        versions = self._versions[service]
        for shard, events in self._world.tables.journals[service].journal.items():
            for event in events[self._read[service, shard] :]:
                versions[event.entity_id] += 1
                if event.version != versions[event.entity_id]:
                    self._breach(
                        f"I8: {event.entity_id} has version {event.version} as its {versions[event.entity_id]}."
                    )
            self._read[service, shard] = len(events)

    def _compare(self, service: JournalService) -> None:
        versions = self._versions[service]
        for row in self._world.tables.journals[service].views.values():
            id_ = row.order_id if isinstance(row, PaymentRow) else getattr(row, "sku", "") or getattr(row, "id", "")
            if row.version != versions[id_]:
                self._breach(f"I9: the row of {id_} is at version {row.version}, its journal at {versions[id_]}")

    def thawed(self) -> None:
        """A process goes on: does it know that it lost its place?"""
        for later_s in AFTER_THAW_S:
            self._world.loop.call_later(later_s, self.one_owner)

    def one_owner(self) -> None:
        """At most one process that runs may answer for a shard."""
        able = []
        for machine in self._world.alive:
            cluster = machine.host.cluster
            if machine.up and cluster is not None and cluster.membership.may_answer():
                able.append((machine.actor_name, cluster.ownership.gate))
        for shard in range(SHARDS if len(able) > 1 else 0):
            owners = [name for name, gate in able if gate.slot(shard).phase is Phase.RUNNING]
            if len(owners) > 1:
                self._breach(f"one writer: {owners} all may answer for shard {shard}")

    def _look(self) -> None:
        if not self._world.calm:
            self.one_owner()
            self._world.loop.call_later(LOOK_EVERY_S, self._look)

    def _breach(self, breach: str) -> None:
        if breach not in self._told:
            self._told.add(breach)
            self._world.note(f"BREACH {breach}")
            self._history.breaches.append(breach)
