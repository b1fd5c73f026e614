"""Mailers of a test's server, and what they say when they fail."""

import pytest

from persistence.errors import NotDelivered
from persistence.records import NotificationRow
from persistence.smtp.mailer import SmtpMailer
from persistence.smtp_url import parse_sender, parse_smtp_url
from tests.servers.smtp import MailServer

SENDER = parse_sender("Ümlaut Shop <shop@example.com>")


def mailer_of(server: MailServer, url: str = "smtp://127.0.0.1:{port}") -> SmtpMailer:
    return SmtpMailer(parse_smtp_url(url.format(port=server.port)), SENDER)


async def fault_of(mailer: SmtpMailer, row: NotificationRow) -> NotDelivered:
    with pytest.raises(NotDelivered) as caught:
        await mailer.send(row)
    return caught.value
