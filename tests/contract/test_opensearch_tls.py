"""OpenSearch over TLS: who is trusted, and that a password goes to nobody else. The server is a stand-in."""

import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from persistence.errors import StoreMisconfigured
from persistence.opensearch.product_search import open_search
from persistence.settings import StoreSettings

SETTINGS = StoreSettings.of("postgresql://nobody@localhost/none")
TOLD = b'{"version":{"distribution":"opensearch","number":"2.19.5"}}'


@dataclass
class StandIn:
    """Its certificate is for 127.0.0.1 only. `logins`: the headers it was sent."""

    port: int
    certificate: Path
    logins: list[str | None] = field(default_factory=list)


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
         "-subj", "/CN=search", "-addext", "subjectAltName=IP:127.0.0.1"],
        capture_output=True, check=True,
    )  # fmt: skip
    made = StandIn(0, certificate)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.logins.append(self.headers["authorization"])
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(TOLD)))
            self.end_headers()
            self.wfile.write(TOLD)

        def log_message(self, *_arguments: object) -> None:
            """Nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    made.port = server.server_port
    Thread(target=server.serve_forever, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


async def check(url: str) -> None:
    search = open_search(url, SETTINGS)
    try:
        await search.check()
    finally:
        await search.close()


async def test_a_certificate_that_the_file_vouches_for_is_trusted(stand_in: StandIn) -> None:
    await check(f"https://shop:s3cret@127.0.0.1:{stand_in.port}?ca={stand_in.certificate}")
    assert stand_in.logins == ["Basic c2hvcDpzM2NyZXQ="]


@pytest.mark.parametrize(
    "url", ["https://shop:s3cret@127.0.0.1:{port}", "https://shop:s3cret@localhost:{port}?ca={ca}"]
)
async def test_no_password_goes_to_who_is_not_trusted_or_has_another_name(stand_in: StandIn, url: str) -> None:
    with pytest.raises(StoreMisconfigured, match="no trusted connection"):
        await check(url.format(port=stand_in.port, ca=stand_in.certificate))
    assert stand_in.logins == []
