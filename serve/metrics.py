"""What Prometheus is told: of HTTP in this process, and of every shard host and consumer, in one answer."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from cluster.host_reports import HostReports, Scrape, families_of
from cluster.observability import TraceMetrics

HTTP_PROCESS: Final = "http"
_BUCKETS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 8.0)


class Metrics:
    """Counters of one application, in a registry of their own: nothing is registered at import.

    `process` names this process in what is scraped; each replica has its own.
    """

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, process: str = HTTP_PROCESS) -> None:
        self.process = process
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(TraceMetrics())
        requests = Counter(
            "stampede_http_requests",
            "Requests by route and status",
            ("method", "route", "status"),
            registry=self.registry,
        )
        seconds = Histogram(
            "stampede_http_request_seconds",
            "Time to the start of the answer",
            ("method", "route"),
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.in_flight = Gauge("stampede_http_requests_in_flight", "Requests without an answer", registry=self.registry)
        self.in_flight.set_function(lambda: self.running)
        self.running = 0
        """Requests in work. A plain number: it changes twice a request."""
        self._requests = requests
        self._seconds = seconds
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._scraping: asyncio.Task[bytes] | None = None

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request. `route` is a template, never a path: the number of series must stay bounded."""
        key = (method, route, status)
        found = self._series.get(key)
        if found is None:
            found = self._requests.labels(method, route, str(status)), self._seconds.labels(method, route)
            self._series[key] = found
        found[0].inc()
        found[1].observe(seconds)

    async def exposition(self, hosts: HostReports) -> bytes:
        """The text that a Prometheus server scrapes: this process, then every other one that answers within a second.

        `stampede_scrape_up` is 0 for those that did not. Every sample says by `process` whose it is. One scrape at a
        time: it is work for every process, and anybody may ask. Whoever comes meanwhile is told the same.
        """
        if self._scraping is None:
            self._scraping = asyncio.create_task(self._scrape(hosts))
        # Shielded: one who gives up must not end what others wait for.
        return await asyncio.shield(self._scraping)

    async def _scrape(self, hosts: HostReports) -> bytes:
        try:
            return await self._collect(hosts)
        finally:
            self._scraping = None

    async def _collect(self, hosts: HostReports) -> bytes:
        own = Scrape(process=self.process, families=families_of(self.registry.collect()))
        return generate_latest(_Merged([own, *await hosts.metrics()]))


class _Merged(Collector):
    """Several processes' samples, each family once."""

    def __init__(self, scrapes: Sequence[Scrape]) -> None:
        self._scrapes = scrapes

    def collect(self) -> Iterator[Metric]:
        """For `generate_latest`."""
        up = GaugeMetricFamily("stampede_scrape_up", "Whether this process answered the scrape.", labels=("process",))
        for scrape in self._scrapes:
            up.add_metric((scrape.process,), float(scrape.families is not None))
        yield up
        yield from _merged(self._scrapes)


def _merged(scrapes: Iterable[Scrape]) -> Iterable[Metric]:
    found: dict[str, Metric] = {}
    for scrape in scrapes:
        for family in scrape.families or ():
            metric = family.metric(scrape.process)
            if (first := found.setdefault(metric.name, metric)) is not metric:
                first.samples.extend(metric.samples)
    return found.values()
