"""Hands mail over to a server by SMTP."""

import asyncio
import time
from collections.abc import Callable

import aiosmtplib

from persistence.errors import NotDelivered
from persistence.records import NotificationRow
from persistence.smtp.message import ascii_domain, email_of
from persistence.smtp_url import SmtpServer

CONNECTIONS_MAX = 4
STEP_TIMEOUT_S = 10.0
IDLE_MAX_S = 20.0
_ERRORS = (aiosmtplib.SMTPException, OSError, TimeoutError)
_STARTTLS = {"required": True, "offered": None, "off": False}


class SmtpMailer:
    """A few connections to one server, kept for a while between messages.

    Guarantees: a message is sent once a call at most. What the server says for good about the recipient or the content
    (5xx after RCPT or DATA) is permanent; all else may pass: no connection, a wrong password, a refused sender, 4xx, no
    answer in time. After the content was sent without an answer, the message may have been taken over all the same.
    """

    def __init__(
        self, server: SmtpServer, sender: tuple[str, str], *, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._server = server
        self._sender = sender
        self._monotonic_s = monotonic_s
        self._slots = asyncio.Semaphore(CONNECTIONS_MAX)
        self._idle: list[tuple[aiosmtplib.SMTP, float]] = []

    async def send(self, message: NotificationRow) -> None:
        """Hand over. Raises `NotDelivered`."""
        mail = email_of(message, self._sender)
        recipient = ascii_domain(message.recipient)
        async with self._slots:
            connection = await self._connection()
            try:
                await connection.send_message(mail, sender=self._sender[1], recipients=[recipient])
            except BaseException as error:
                connection.close()
                if isinstance(error, _ERRORS):
                    raise _fault(error, recipient) from error
                raise
            self._idle.append((connection, self._monotonic_s()))

    async def close(self) -> None:
        """Let go of the connections that are kept."""
        while self._idle:
            connection, _ = self._idle.pop()
            connection.close()

    async def _connection(self) -> aiosmtplib.SMTP:
        """One that is kept and still answers, else a new one."""
        while self._idle:
            connection, since_s = self._idle.pop()
            if self._monotonic_s() - since_s <= IDLE_MAX_S and await _answers(connection):
                return connection
            connection.close()
        server = self._server
        connection = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user or None,
            password=server.password or None,
            use_tls=server.tls,
            start_tls=None if server.tls else _STARTTLS[server.starttls],
            timeout=STEP_TIMEOUT_S,
        )
        try:
            await connection.connect()
        except (*_ERRORS, ValueError) as error:
            raise NotDelivered(f"no connection to the mail server: {_said(error)}", permanent=False) from error
        return connection


async def _answers(connection: aiosmtplib.SMTP) -> bool:
    try:
        await connection.noop()
    except _ERRORS:
        return False
    except BaseException:
        connection.close()  # nobody else has it any more
        raise
    return True


def _fault(error: Exception, recipient: str) -> NotDelivered:
    match error:
        case aiosmtplib.SMTPRecipientsRefused(recipients=[refusal, *_]):
            return _answered("recipient", refusal, recipient, permanent=refusal.code >= 500)
        case aiosmtplib.SMTPDataError():
            return _answered("content", error, recipient, permanent=error.code >= 500)
        case aiosmtplib.SMTPResponseException():
            return _answered("sender or connection", error, recipient, permanent=False)
        case aiosmtplib.SMTPNotSupported():
            # After connecting this is about one thing only: an address that is not ASCII before its @.
            return NotDelivered("the mail server does not take such an address", permanent=True)
        case _:
            return NotDelivered(f"the mail server did not answer: {_said(error)}", permanent=False)


def _answered(what: str, error: aiosmtplib.SMTPResponseException, recipient: str, *, permanent: bool) -> NotDelivered:
    reply = " ".join(str(error.message).split()).replace(recipient, "…")
    return NotDelivered(f"{what} refused with {error.code}", permanent=permanent, reply=reply[:300])


def _said(error: Exception) -> str:
    """The kind of fault, and the server's code if it gave one: never its words, which may repeat what it was told."""
    code = getattr(error, "code", None)
    return f"{type(error).__name__} {code}" if isinstance(code, int) else type(error).__name__
