"""What administrators and services did."""

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from serve.answers import answer
from serve.auth.access import allow
from serve.auth.principal import Role
from serve.deps import ServicesOf
from serve.route import service_router
from serve.schemas.admin_audit import AdminRecordOut
from serve.schemas.page import Cursor, Limit, PageMeta, PageOut, bad_cursor

router = service_router("admin")

Actor = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=128,
        pattern=r"^[\x21-\x7e]+$",
        description="an account's or a service's id",
        examples=["svc_warehouse"],
    ),
]


@router.get("/admin/audit", response_model=PageOut[AdminRecordOut])
@allow(Role.ADMIN)
async def list_records(services: ServicesOf, actor: Actor = None, limit: Limit = 20, cursor: Cursor = None) -> Response:
    """What administrators and services changed, and who was refused (403), newest first."""
    try:
        rows, following = await services.stores.admin_records.list(actor=actor, limit=limit, cursor=cursor)
    except ValueError:
        raise bad_cursor() from None
    return answer(
        PageOut[AdminRecordOut](data=[AdminRecordOut.of(row) for row in rows], meta=PageMeta(next_cursor=following))
    )
