"""Mail over encrypted connections: when they are, and that nothing is sent when they should be and are not."""

import ssl
import subprocess
from pathlib import Path

import pytest

from tests.contract.test_notifications import message
from tests.integration.mailers import fault_of, mailer_of
from tests.servers.smtp import mail_server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody trusts until told to."""
    folder = tmp_path_factory.mktemp("tls")
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key.pem", "-out",
         folder / "cert.pem", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture
def context(certificate: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return made


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))


@pytest.mark.usefixtures("trusted")
async def test_smtps_is_encrypted_from_the_first_byte(context: ssl.SSLContext) -> None:
    async with mail_server(tls=context) as server:
        mailer = mailer_of(server, "smtps://127.0.0.1:{port}")
        await mailer.send(message(1))
        assert len(server.mails) == 1
        await mailer.close()


@pytest.mark.usefixtures("trusted")
async def test_starttls_is_used_when_offered(context: ssl.SSLContext) -> None:
    async with mail_server(starttls=context) as server:
        for url, encrypted in (("smtp://127.0.0.1:{port}", True), ("smtp://127.0.0.1:{port}?starttls=off", False)):
            mailer = mailer_of(server, url)
            await mailer.send(message(1))
            assert server.encrypted[-1] == encrypted
            await mailer.close()


async def test_starttls_that_is_required_and_not_offered_sends_nothing() -> None:
    url = "smtp://shop:secret@127.0.0.1:{port}?starttls=required"
    async with mail_server() as server:
        fault = await fault_of(mailer_of(server, url), message(1))
        assert not fault.permanent
        assert server.mails == []


async def test_a_certificate_that_nobody_vouches_for_sends_nothing(context: ssl.SSLContext) -> None:
    async with mail_server(starttls=context) as server:
        assert not (await fault_of(mailer_of(server), message(1))).permanent
        assert server.mails == []
