"""Messages to customers, as administrators see them."""

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from serve.answers import answer
from serve.auth.access import allow
from serve.auth.principal import Role
from serve.deps import ServicesOf
from serve.errors import not_found
from serve.route import service_router
from serve.schemas.notifications import (
    NotificationDetailOut,
    NotificationOut,
    NotificationStatus,
    OrderIdFilter,
    is_notification_id,
)
from serve.schemas.page import Cursor, Limit, PageMeta, PageOut, bad_cursor

router = service_router("notifications")


@router.get("/admin/notifications", response_model=PageOut[NotificationOut])
@allow(Role.ADMIN)
async def list_notifications(
    services: ServicesOf,
    order_id: OrderIdFilter = None,
    status: Annotated[NotificationStatus | None, Query()] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    """Every message to a customer, newest first: of one order, or in one status."""
    try:
        rows, following = await services.stores.notifications.list(
            order_id=order_id, status=status, limit=limit, cursor=cursor
        )
    except ValueError:
        raise bad_cursor() from None
    return answer(
        PageOut[NotificationOut](data=[NotificationOut.of(row) for row in rows], meta=PageMeta(next_cursor=following))
    )


@router.get("/admin/notifications/{notification_id}", response_model=NotificationDetailOut)
@allow(Role.ADMIN)
async def get_notification(notification_id: str, services: ServicesOf) -> Response:
    """One message with its text, and how its sending went."""
    known = is_notification_id(notification_id)
    row = await services.stores.notifications.by_id(notification_id) if known else None
    if row is None:
        raise not_found()
    return answer(NotificationDetailOut.of(row))
