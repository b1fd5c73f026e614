"""A collector of traces on loopback, as small as one can be: OTLP over HTTP with protobuf bodies."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class CollectedSpan:
    trace: str
    id: str
    parent: str
    name: str
    process: str
    failed: bool
    attributes: dict[str, str]


@dataclass
class Collector:
    """What has arrived so far. While `held`, exports wait: a collector that hangs."""

    endpoint: str = ""
    spans: list[CollectedSpan] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)

    def names(self, trace: str) -> list[str]:
        return [span.name for span in self.spans if span.trace == trace]

    def named(self, name: str) -> CollectedSpan:
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def take(self, body: bytes) -> None:
        self.bodies.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            process = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [
                    CollectedSpan(
                        trace=span.trace_id.hex(),
                        id=span.span_id.hex(),
                        parent=span.parent_span_id.hex(),
                        name=span.name,
                        process=process["service.instance.id"],
                        failed=span.status.code == span.status.STATUS_CODE_ERROR,
                        attributes={pair.key: str(pair.value) for pair in span.attributes},
                    )
                    for span in scope.spans
                ]


@contextmanager
def otlp_collector() -> Iterator[Collector]:
    """A collector that listens on a port of its own."""
    collector = Collector()
    collector.held.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.held.wait(30)
            collector.take(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield collector
    finally:
        collector.held.set()
        server.shutdown()
        thread.join()
        server.server_close()
