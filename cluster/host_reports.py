"""Asking every process of the cluster how it is: shard hosts, consumers. The port, and what travels."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.samples import Sample


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What one process said of itself; `None` when it did not answer in time. `process` is its stable name."""

    process: str
    said: Mapping[str, Any] | None


class FamilySamples(msgspec.Struct, frozen=True, array_like=True):
    """One metric family with its samples (name, labels, value): what Prometheus calls a metric."""

    name: str
    kind: str
    text: str
    samples: tuple[tuple[str, dict[str, str], float], ...]

    def metric(self, process: str) -> Metric:
        """The same for the client library, each sample with the label `process`."""
        metric = Metric(self.name, self.text, self.kind)
        metric.samples = [Sample(name, {"process": process, **labels}, value) for name, labels, value in self.samples]
        return metric


class Scrape(msgspec.Struct, frozen=True, kw_only=True):
    """The metrics of one process; `None` when it did not answer in time."""

    process: str
    families: tuple[FamilySamples, ...] | None


class HostReports(Protocol):
    """Every process that runs entities or consumers, asked at once. Partial answers within a second; never raises."""

    async def describe(self) -> Sequence[Report]:
        """What each says of itself, ordered by name."""

    async def metrics(self) -> Sequence[Scrape]:
        """What each counts, ordered by name."""


class NoHosts:
    """For applications that know of no other process."""

    async def describe(self) -> Sequence[Report]:
        """Nobody."""
        return ()

    async def metrics(self) -> Sequence[Scrape]:
        """Nobody's."""
        return ()


class InProcessHosts:
    """Hosts of this very process, for tests and tools: `describe` and `metrics` of each, by its name."""

    def __init__(self, hosts: Mapping[str, tuple[Callable[[], Mapping[str, Any]], Callable[[], bytes]]]) -> None:
        self._hosts = dict(sorted(hosts.items()))

    async def describe(self) -> Sequence[Report]:
        """See `HostReports`."""
        return [Report(process=name, said=describe()) for name, (describe, _) in self._hosts.items()]

    async def metrics(self) -> Sequence[Scrape]:
        """See `HostReports`."""
        return [Scrape(process=name, families=unpack_families(own())) for name, (_, own) in self._hosts.items()]


def pack_families(registry: CollectorRegistry) -> bytes:
    """Everything in a registry, as it travels. `_created` times are left out: nobody asks for them."""
    return _encoder.encode(families_of(registry.collect()))


def families_of(metrics: Iterable[Metric]) -> tuple[FamilySamples, ...]:
    """The client library's metrics as plain data."""
    return tuple(
        FamilySamples(
            metric.name,
            metric.type,
            metric.documentation,
            tuple(
                (sample.name, dict(sample.labels), float(sample.value))
                for sample in metric.samples
                if not sample.name.endswith("_created")
            ),
        )
        for metric in metrics
    )


def unpack_families(packed: bytes) -> tuple[FamilySamples, ...]:
    """The reverse of `pack_families`. Raises `msgspec.MsgspecError`."""
    return _decoder.decode(packed)


async def asked(
    processes: Iterable[str], ask: Callable[[str], Awaitable[Any]], *, timeout_ms: int
) -> list[tuple[str, Any]]:
    """(name, answer, or None for those who gave none in time) of each, ordered by name; all are asked at once.

    `ask` raises `ConnectionError` for a process that cannot be reached.
    """

    async def one(process: str) -> Any:
        try:
            async with asyncio.timeout(timeout_ms / 1e3):
                return await ask(process)
        except (TimeoutError, ConnectionError):
            return None

    names = sorted(processes)
    return list(zip(names, await asyncio.gather(*map(one, names)), strict=True))


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[tuple[FamilySamples, ...]] = msgspec.msgpack.Decoder(tuple[FamilySamples, ...])
