"""The built-in mailbox as pages, for whoever develops a shop. In production these routes do not exist.

A mail's HTML is a document of its own behind a policy of its own: it may style itself, and nothing else.
"""

from typing import Final

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from persistence.records import NotificationRow
from serve.auth.access import public
from serve.deps import Services, ServicesOf
from serve.errors import not_found
from serve.route import GuardedRoute
from serve.schemas.notifications import OrderIdFilter, is_notification_id
from serve.schemas.page import Cursor, bad_cursor
from serve.web.dev_mail import PAGE_CSP, mail_page, mailbox_page

PAGE_MESSAGES: Final = 50
MAIL_CSP: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox; base-uri 'none'; frame-ancestors 'self'"
_MAIL_HEADERS: Final = {
    "Content-Security-Policy": MAIL_CSP,
    "X-Frame-Options": "SAMEORIGIN",
    # Browsers show no document that is sandboxed and wants an opener policy of its own.
    "Cross-Origin-Opener-Policy": "unsafe-none",
}
router = APIRouter(route_class=GuardedRoute, include_in_schema=False)


@router.get("/dev/mail")
@public()
async def mailbox(services: ServicesOf, order_id: OrderIdFilter = None, cursor: Cursor = None) -> Response:
    """The newest messages."""
    try:
        rows, following = await services.stores.notifications.list(
            order_id=order_id, status=None, limit=PAGE_MESSAGES, cursor=cursor
        )
    except ValueError:
        raise bad_cursor() from None
    return _page(mailbox_page(rows, order_id, following))


@router.get("/dev/mail/{notification_id}")
@public()
async def mail(notification_id: str, services: ServicesOf) -> Response:
    """One message: its headers, its HTML in a frame, its text."""
    return _page(mail_page(await _row(services, notification_id)))


@router.get("/dev/mail/{notification_id}/html")
@public()
async def mail_html(notification_id: str, services: ServicesOf) -> Response:
    """The HTML as it was sent."""
    row = await _row(services, notification_id)
    if not row.html_body:
        raise not_found()
    return HTMLResponse(row.html_body, headers=_MAIL_HEADERS)


async def _row(services: Services, notification_id: str) -> NotificationRow:
    known = is_notification_id(notification_id)
    row = await services.stores.notifications.by_id(notification_id) if known else None
    if row is None:
        raise not_found()
    return row


def _page(html: str) -> Response:
    return HTMLResponse(html, headers={"Content-Security-Policy": PAGE_CSP})
