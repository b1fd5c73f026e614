"""All accounts, for administrators."""

from typing import Annotated, Literal

from fastapi import Query
from starlette.responses import Response

from serve.answers import answer
from serve.auth.access import allow
from serve.auth.principal import Role
from serve.deps import ServicesOf
from serve.route import service_router
from serve.schemas.page import Cursor, Limit, PageMeta, PageOut, bad_cursor
from serve.schemas.users import EMAIL_CHARACTERS_MAX, UserOut, email_key

router = service_router("admin")

EmailStart = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=EMAIL_CHARACTERS_MAX,
        description="the whole address or its beginning, in any case",
        examples=["ada@"],
    ),
]
AccountRole = Annotated[Literal["customer", "admin"] | None, Query(examples=["admin"])]


@router.get("/admin/users", response_model=PageOut[UserOut])
@allow(Role.ADMIN)
async def list_users(
    services: ServicesOf,
    email: EmailStart = None,
    role: AccountRole = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    """Accounts, newest first."""
    start = None if email is None else email_key(email)
    try:
        users, following = await services.stores.users.list(email=start, role=role, limit=limit, cursor=cursor)
    except ValueError:
        raise bad_cursor() from None
    return answer(PageOut[UserOut](data=[UserOut.of(user) for user in users], meta=PageMeta(next_cursor=following)))
