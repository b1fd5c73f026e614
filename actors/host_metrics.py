"""Everything a shard host counts, registered for a scrape: what it holds, its runtime's counters, its process."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.registry import Collector

from actors.runtime.host_runtime import HostRuntime
from actors.runtime.metrics import described
from cluster.observability import TraceMetrics


class _Holdings(Collector):
    """What a runtime holds at the time of the scrape."""

    def __init__(self, runtime: HostRuntime) -> None:
        self._runtime = runtime

    def describe(self) -> Iterator[Metric]:
        """Nothing: its names are not asked for at registration, when there is nothing to hold yet."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """For a scrape."""
        yield from described(self._runtime.describe())


def register_host(registry: CollectorRegistry, runtime: HostRuntime) -> None:
    """Have the registry show this runtime and this process."""
    ProcessCollector(registry=registry)
    registry.register(TraceMetrics())
    registry.register(runtime.services.metrics)
    registry.register(_Holdings(runtime))
