"""What a host's runtime counts. On the way of a command it only adds to plain numbers; a scrape makes metrics of them.

Names start with `stampede_`; labels are names of types, commands, events and codes, never ids: their number is bounded
by the code.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import Histogram, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from actors.runtime.host_runtime import HostDescription
    from persistence.records import NewEvent

_BATCH_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000)
_SECONDS_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_DEPTH_POWERS = 16
"""Mailbox depths are counted by powers of two: 0, 1, ≤ 3, ≤ 7, … ≤ 32,767."""


class RuntimeMetrics(Collector):
    """The counters of one host; a Prometheus collector without a registry of its own."""

    def __init__(self) -> None:
        self.commands: dict[tuple[str, str, str], int] = {}
        """(entity type, command, outcome: `ok`, the code of a refusal, or `fault:` and the code of a fault)."""
        self.sagas: dict[tuple[str, str], int] = {}
        """(entity type, outcome: `done`, the code of a refusal, or `broken`)."""
        self.events: dict[tuple[str, str], int] = {}
        """(entity type, event type) of those that are durable."""
        self.carts_reloaded: dict[tuple[str, str], int] = {}
        """(entity type, why: `moved`, the store had another version than memory or had lost it, or `no_answer`)."""
        self.depths = [0] * (_DEPTH_POWERS + 1)
        self.depths_sum = 0
        self.round_lag_s = 0.0
        """By how much the newest round of the host came late: whatever its event loop was busy with."""
        self.commit_events = Histogram(
            "stampede_commit_events", "Events in one commit.", ("queue",), buckets=_BATCH_BUCKETS, registry=None
        )
        self.commit_seconds = Histogram(
            "stampede_commit_seconds", "Time of one commit.", ("queue",), buckets=_SECONDS_BUCKETS, registry=None
        )

    def answered(self, entity_type: str, command: str, outcome: str) -> None:
        """A command has its answer."""
        key = (entity_type, command, outcome)
        self.commands[key] = self.commands.get(key, 0) + 1

    def saga_ended(self, entity_type: str, outcome: str) -> None:
        """A saga's run is over."""
        key = (entity_type, outcome)
        self.sagas[key] = self.sagas.get(key, 0) + 1

    def cart_reloaded(self, entity_type: str, why: str) -> None:
        """The store's cart is read again in place of the one in memory."""
        key = (entity_type, why)
        self.carts_reloaded[key] = self.carts_reloaded.get(key, 0) + 1

    def arrived(self, depth: int) -> None:
        """A command came to an entity at which `depth` others wait."""
        self.depths[min(depth.bit_length(), _DEPTH_POWERS)] += 1
        self.depths_sum += depth

    def durable(self, events: "Iterable[NewEvent]") -> None:
        """These were written."""
        counts = self.events
        for event in events:
            key = (event.entity_type, event.type)
            counts[key] = counts.get(key, 0) + 1

    def collect(self) -> Iterator[Metric]:
        """For a scrape."""
        yield from self.commit_events.collect()
        yield from self.commit_seconds.collect()
        yield _counter("stampede_commands", "Commands answered.", ("entity_type", "command", "outcome"), self.commands)
        yield _counter("stampede_sagas", "Sagas that ended.", ("entity_type", "outcome"), self.sagas)
        yield _counter("stampede_events", "Events that are durable.", ("entity_type", "event"), self.events)
        yield _counter(
            "stampede_carts_reloaded",
            "Carts read again, for the store wins.",
            ("entity_type", "why"),
            self.carts_reloaded,
        )
        yield HistogramMetricFamily(
            "stampede_mailbox_commands",
            "Commands that waited at the entity when another came.",
            buckets=self._depth_buckets(),
            sum_value=self.depths_sum,
        )
        yield GaugeMetricFamily("stampede_round_lag_seconds", "How late the newest round was.", self.round_lag_s)

    def _depth_buckets(self) -> list[tuple[str, float]]:
        buckets: list[tuple[str, float]] = []
        total = 0
        for power, count in enumerate(self.depths):
            total += count
            limit = "+Inf" if power == _DEPTH_POWERS else str(float(2**power - 1))
            buckets.append((limit, total))
        return buckets


def described(description: "HostDescription") -> Iterator[Metric]:
    """What a host holds right now, as metrics."""
    gauges = (
        ("stampede_entities", "Entities in memory.", description.entities),
        ("stampede_commands_open", "Commands without an answer.", description.commands),
        ("stampede_sagas_running", "Sagas at work.", description.sagas_running),
        ("stampede_sagas_queued", "Sagas that wait for their turn.", description.sagas_queued),
        ("stampede_timers", "Entities with a due time.", description.timers),
        ("stampede_shards", "Shards served.", len(description.shards)),
    )
    for name, text, value in gauges:
        yield GaugeMetricFamily(name, text, value)
    queued = GaugeMetricFamily("stampede_commit_queued", "Writes that wait for the next commit.", labels=("queue",))
    for queue, committer in description.committers.items():
        queued.add_metric((queue,), committer.queued)
    yield queued


def _counter(
    name: str,
    text: str,
    labels: tuple[str, ...],
    counts: "dict[tuple[str, str, str], int] | dict[tuple[str, str], int]",
) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for key, count in counts.items():
        family.add_metric(key, count)
    return family
