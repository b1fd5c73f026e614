"""A message as mail servers take it."""

import re
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from persistence.errors import NotDelivered
from persistence.records import NotificationRow

# Folding would break a long Message-ID into encoded words, which servers do not put together again; 998 is the
# protocol's own limit of a line.
_POLICY = SMTP.clone(max_line_length=998)
_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9._-]")


def message_id(event_id: str, domain: str) -> str:
    """The same for every sending of a message, so that its receiver can drop a repeat."""
    return f"<{_NOT_IN_AN_ID.sub('_', event_id.replace(':', '.'))}@{domain}>"


def email_of(row: NotificationRow, sender: tuple[str, str]) -> EmailMessage:
    """Text and HTML as alternatives. Raises `NotDelivered`, permanent, for what no header may hold.

    The headers refuse line breaks, so nothing that a customer wrote can begin another one.
    """
    name, address = sender
    mail = EmailMessage(_POLICY)
    try:
        mail["From"] = Address(name, addr_spec=address)
        mail["To"] = Address(addr_spec=ascii_domain(row.recipient))
        mail["Subject"] = row.subject
    except (ValueError, IndexError, MessageError) as error:
        # The reader of addresses fails in all three ways on what is none.
        raise NotDelivered("the recipient or the subject does not fit a header", permanent=True) from error
    mail["Date"] = format_datetime(datetime.fromtimestamp(row.created_at_ms // 1000, UTC))
    mail["Message-ID"] = message_id(row.event_id, address.rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(row.text_body, cte="quoted-printable")
    mail.add_alternative(row.html_body, subtype="html", cte="quoted-printable")
    return mail


def ascii_domain(address: str) -> str:
    """The address with its domain as the name service has it; the part before the @ stays as it is."""
    local, at, domain = address.rpartition("@")
    if domain.isascii():
        return address
    return f"{local}{at}{domain.encode('idna').decode()}"
