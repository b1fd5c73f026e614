"""What sharding counts. Names start with `stampede_cluster_`; nothing is counted per envelope but faults."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from cluster.tracing import span_counts

_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class ClusterMetrics:
    """The counters of one process. Without a registry they count and are exported nowhere (tests, simulation)."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"stampede_cluster_{name}", text, labels, registry=registry)

        self.exchanges = counter("exchanges", "Exchanges sent, by outcome.", "outcome")
        self.batch_envelopes = Histogram(
            "stampede_cluster_batch_envelopes",
            "Envelopes in one exchange.",
            buckets=_BATCH_BUCKETS,
            registry=registry,
        )
        self.route_refreshes = counter("route_refreshes", "Reads of the table by regions, by outcome.", "outcome")
        self.resends = counter("resends", "Envelopes sent again, by the fault that made it necessary.", "fault")
        self.asks_failed = counter("asks_failed", "Asks that ended in a fault, by its code.", "code")
        self.renewals = counter("renewals", "Lease renewals, by outcome.", "outcome")
        self.rejoins = counter("rejoins", "Times this host was buried and joined again.")
        self.burials = counter("burials", "Hosts this host buried.")
        self.claims = counter("claims", "Claims of shards, by outcome.", "outcome")
        self.takeovers = counter("takeovers", "Shards started here after another's, or our own, ownership ended.")
        self.moves = counter("moves", "Shards handed to another host, by outcome.", "outcome")
        self.doubted_appends = counter("doubted_appends", "Fenced or unanswered appends: shards reclaimed.")
        self.shards_lost = counter("shards_lost", "Shards found to be another's (a fenced append).")
        self.shards_running = Gauge("stampede_cluster_shards_running", "Shards served here.", registry=registry)
        self.recovery_seconds = Histogram(
            "stampede_cluster_recovery_seconds", "From claim to serving, per shard.", registry=registry
        )


class TraceMetrics(Collector):
    """What became of this process's spans; nothing while tracing is off."""

    def collect(self) -> Iterator[Metric]:
        """For a scrape."""
        counts = span_counts()
        if counts is not None:
            spans = CounterMetricFamily("stampede_trace_spans", "Spans that ended, by outcome.", labels=("outcome",))
            for outcome, count in (("sent", counts.sent), ("failed", counts.failed), ("dropped", counts.dropped)):
                spans.add_metric((outcome,), count)
            yield spans
