"""A mail server for the tests (aiosmtpd on a free loopback port) that answers what a test says."""

import asyncio
import contextlib
import ssl
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "shop", "p@ss:w/rd"


@dataclass
class MailServer:
    """What it got, and what it says. `data` and `rcpt`: answers instead of 250, the first first, then 250 again."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    connections: int = 0
    encrypted: list[bool] = field(default_factory=list)
    rcpt: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    mail: list[str] = field(default_factory=list)
    hang: asyncio.Event | None = None
    """Set: DATA is taken and not answered."""
    drop_after_data: int = 0
    """So many messages are taken, and the connection is cut instead of an answer."""
    protocols: list[Any] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        """The Message-IDs of what it took."""
        return [mail["Message-ID"] for mail in self.mails]

    async def handle_MAIL(  # noqa: N802 - the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.mail:
            return self.mail.pop(0)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.rcpt:
            return self.rcpt.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.data:
            return self.data.pop(0)
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.recipients += envelope.rcpt_tos
        self.encrypted.append(session.ssl is not None)
        if self.drop_after_data:
            self.drop_after_data -= 1
            assert server.transport is not None
            server.transport.abort()
        if self.hang is not None:
            await self.hang.wait()
        return "250 taken"


@contextlib.asynccontextmanager
async def mail_server(
    *, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None, auth: bool = False, port: int = 0
) -> AsyncIterator[MailServer]:
    """Running until the block ends."""
    server = MailServer()

    def login(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: object) -> AuthResult:
        right = isinstance(given, LoginPassword) and (given.login, given.password) == (
            USER.encode(),
            PASSWORD.encode(),
        )
        return AuthResult(success=right)

    def protocol() -> SMTP:
        server.connections += 1
        with warnings.catch_warnings():
            # A login without TLS: this server is on this machine, and its password is in this file.
            warnings.simplefilter("ignore", UserWarning)
            opened = SMTP(
                server,
                hostname="localhost",
                enable_SMTPUTF8=False,
                tls_context=starttls,
                auth_required=auth,
                auth_require_tls=False,
                authenticator=login if auth else None,
                loop=asyncio.get_running_loop(),
            )
        server.protocols.append(opened)
        return opened

    listening = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", port, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        if server.hang is not None:
            server.hang.set()
        listening.close()
        for opened in server.protocols:
            if opened.transport is not None:
                opened.transport.abort()
        await listening.wait_closed()
