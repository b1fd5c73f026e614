"""What the consumers' process counts, registered for a scrape."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from cluster.observability import TraceMetrics

Described = Callable[[], Sequence[Mapping[str, Any]]]
"""The state of each feed: consumer, source, handled, behind, failures."""

_LABELS = ("consumer", "source")


class _FeedMetrics(Collector):
    """How far each feed is."""

    def __init__(self, described: Described) -> None:
        self._described = described

    def collect(self) -> Iterator[Metric]:
        """For a scrape."""
        handled = CounterMetricFamily("stampede_consumer_events", "Events that a consumer took in.", labels=_LABELS)
        behind = GaugeMetricFamily("stampede_consumer_lag_events", "Events that it has not read.", labels=_LABELS)
        failures = GaugeMetricFamily("stampede_consumer_failures", "Failures since the last success.", labels=_LABELS)
        for feed in self._described():
            labels = (feed["consumer"], feed["source"])
            handled.add_metric(labels, feed["handled"])
            behind.add_metric(labels, feed["behind"])
            failures.add_metric(labels, feed["failures"])
        yield from (handled, behind, failures)


def register_consumers(registry: CollectorRegistry, described: Described) -> None:
    """Have the registry show these feeds and this process."""
    ProcessCollector(registry=registry)
    registry.register(TraceMetrics())
    registry.register(_FeedMetrics(described))
