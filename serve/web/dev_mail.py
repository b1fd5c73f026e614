"""The pages of the built-in mailbox."""

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from persistence.records import NotificationRow
from serve.clock import iso

_STYLE: Final = files(__package__).joinpath("templates", "dev_mail.css").read_text(encoding="utf-8")
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
PAGE_CSP: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""No script, and no style but ours; a mail's HTML is shown in a frame."""

_templates: Final = Environment(
    loader=PackageLoader("serve.web", "templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def mailbox_page(rows: Sequence[NotificationRow], order_id: str | None, following: str | None) -> str:
    """A list, newest first; `following` is the cursor of the next page."""
    narrowed = {} if order_id is None else {"orderId": order_id}
    return _render(
        "dev_mailbox.html",
        rows=[_shown(row) for row in rows],
        order_id=order_id,
        older=None if following is None else "/dev/mail?" + urlencode({**narrowed, "cursor": following}),
    )


def mail_page(row: NotificationRow) -> str:
    """One message."""
    return _render("dev_mail.html", mail=_shown(row), html_there=bool(row.html_body), text=row.text_body)


def _shown(row: NotificationRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "at": iso(row.created_at_ms),
        "type": row.type,
        "channel": row.channel,
        "to": row.recipient,
        "subject": row.subject or row.text_body,
        "status": row.status,
        "error": row.error,
        "attempts": row.attempts,
        "order_id": row.order_id,
    }


def _render(name: str, **values: Any) -> str:
    # Markup: it is our own file, and its hash in the policy is of its exact text.
    return _templates.get_template(name).render(style=Markup(_STYLE), **values)  # noqa: S704
