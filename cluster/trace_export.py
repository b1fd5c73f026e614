"""The OpenTelemetry side of `tracing`: makes spans, and sends them to an OTLP endpoint behind a bounded queue.

A span that ends is put into a queue of `OTEL_BSP_MAX_QUEUE_SIZE` (2,048); a thread sends batches. If that is full the
span is dropped and counted: nothing ever waits for a collector. Sampling, endpoint, headers, certificates and
time-outs are OpenTelemetry's own variables.
"""

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_BSP_MAX_QUEUE_SIZE
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from cluster import tracing

_QUEUE_MAX: Final = 2_048
_ATTRIBUTE_CHARS_MAX: Final = 256
_KINDS: Final[Mapping[str, SpanKind]] = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "consumer": SpanKind.CONSUMER,
}


@dataclass(slots=True)
class SpanCounts:
    """Spans that ended here: queued for sending, of these sent or refused by the collector; and dropped ones.

    `queued` and `dropped` are written by the event loop's thread, `sent` and `failed` by the one that sends.
    """

    queued: int = 0
    dropped: int = 0
    sent: int = 0
    failed: int = 0

    @property
    def waiting(self) -> int:
        """Queued, and neither sent nor refused yet."""
        return self.queued - self.sent - self.failed


class TraceExport:
    """Opens spans and sends them. `close` at the end."""

    def __init__(self, process: str) -> None:
        self.counts = SpanCounts()
        queue_max = int(os.environ.get(OTEL_BSP_MAX_QUEUE_SIZE) or _QUEUE_MAX)
        resource = Resource({SERVICE_NAME: "stampede", SERVICE_INSTANCE_ID: process}).merge(
            OTELResourceDetector().detect()
        )
        # Its own hook at exit would wait for a dead collector for half a minute.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(
            _BoundedProcessor(_CountingExporter(OTLPSpanExporter(), self.counts), self.counts, queue_max)
        )
        self._tracer = self._provider.get_tracer("stampede")
        self._propagator = TraceContextTextMapPropagator()

    def open(
        self,
        name: str,
        parent: str,
        kind: str,
        attributes: Mapping[str, tracing.Attribute] | None,
        *,
        begin_ns: int | None = None,
    ) -> tuple[Span, str]:
        """A span that has begun (by default now), and its traceparent."""
        opened = self._tracer.start_span(
            name,
            self._context(parent),
            _KINDS[kind],
            attributes,
            start_time=begin_ns,
            record_exception=False,
            set_status_on_exception=False,
        )
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, set_span_in_context(opened, Context()))
        return opened, carrier.get("traceparent", parent)

    def fail(self, span: Span, kind: str) -> None:
        """Mark a span as failed."""
        span.set_attribute("error.type", kind[:_ATTRIBUTE_CHARS_MAX])
        span.set_status(Status(StatusCode.ERROR))

    def close(self, timeout_ms: int) -> None:
        """Send what is queued; after `timeout_ms` the rest is given up."""
        # In a thread, because neither the exporter's time-out nor the processor's is ours.
        closing = threading.Thread(target=self._provider.shutdown, name="traces-close", daemon=True)
        closing.start()
        closing.join(timeout_ms / 1e3)

    def _context(self, parent: str) -> Context:
        return self._propagator.extract({"traceparent": parent}, Context()) if parent else Context()


class _BoundedProcessor(BatchSpanProcessor):
    """Drops and counts what the queue has no room for."""

    def __init__(self, exporter: SpanExporter, counts: SpanCounts, queue_max: int) -> None:
        super().__init__(exporter, max_queue_size=queue_max, max_export_batch_size=min(512, queue_max))
        self._counts = counts
        self._queue_max = queue_max

    def on_end(self, span: ReadableSpan) -> None:
        """Queue it, or not."""
        if not (span.context and span.context.trace_flags.sampled):
            return
        if self._counts.waiting >= self._queue_max:
            self._counts.dropped += 1
            return
        self._counts.queued += 1
        super().on_end(span)


class _CountingExporter(SpanExporter):
    """Counts what the real exporter sent, and what it gave up."""

    def __init__(self, exporter: OTLPSpanExporter, counts: SpanCounts) -> None:
        self._exporter = exporter
        self._counts = counts

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            if result is SpanExportResult.SUCCESS:
                self._counts.sent += len(spans)
            else:
                self._counts.failed += len(spans)
        return result

    def shutdown(self) -> None:
        """Give up what is being sent."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is kept here."""
        return self._exporter.force_flush(timeout_millis)
