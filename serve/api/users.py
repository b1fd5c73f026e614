"""The caller's own account."""

from starlette.requests import Request
from starlette.responses import Response

from persistence.errors import StaleVersion
from persistence.records import UserRecord
from serve.answers import answer
from serve.api.auth import login_attempt, login_succeeded, sessions_of
from serve.auth.access import allow
from serve.auth.principal import Principal, Role
from serve.deps import Caller, Services, ServicesOf
from serve.errors import Problem
from serve.events import outbox_event
from serve.openapi import problems
from serve.route import service_router
from serve.schemas.users import ChangePasswordIn, ProfileIn, SessionOut, UserOut

router = service_router("users")


@router.get("/users/profile", response_model=UserOut)
@allow(Role.CUSTOMER, Role.ADMIN)
async def get_profile(caller: Caller, services: ServicesOf) -> Response:
    """The caller's account."""
    return answer(UserOut.of(await _account(services, caller)))


@router.put("/users/profile", response_model=UserOut)
@allow(Role.CUSTOMER, Role.ADMIN)
async def put_profile(body: ProfileIn, caller: Caller, services: ServicesOf) -> Response:
    """Change the caller's names."""
    user = await services.stores.users.rename(caller.id, body.first_name, body.last_name)
    if user is None:
        raise Problem("invalid-token")
    return answer(UserOut.of(user))


@router.post("/users/change-password", response_model=SessionOut, responses=problems("wrong-password"))
@allow(Role.CUSTOMER, Role.ADMIN)
async def change_password(request: Request, body: ChangePasswordIn, caller: Caller, services: ServicesOf) -> Response:
    """Change the password. All older tokens of the account end within a second; the answer has new ones."""
    user = await _account(services, caller)
    # A stolen token must not become a way to guess the password.
    await login_attempt(services, request, user.email_key)
    if not await services.passwords.matches(body.current_password, user.password_hash):
        raise Problem("wrong-password")
    await login_succeeded(services, user.email_key)
    now_ms = services.clock.now_ms()
    changed = await _store(request, services, user, await services.passwords.hash(body.new_password), now_ms)
    services.guard.password_versions.put(changed.id, changed.password_version)
    return answer(await sessions_of(services).open(changed, now_ms))


async def _store(request: Request, services: Services, user: UserRecord, password_hash: str, now_ms: int) -> UserRecord:
    version = user.password_version + 1
    event = outbox_event(
        request,
        entity_type="user",
        entity_id=user.id,
        version=version,
        fact="password_changed",
        body={"userId": user.id},
        at_ms=now_ms,
    )
    try:
        await services.stores.users.set_password(user.id, user.password_version, password_hash, event)
    except StaleVersion:
        # Somebody was faster; the password that was proven is no longer the current one.
        raise Problem("wrong-password") from None
    changed = await services.stores.users.by_id(user.id)
    if changed is None or changed.password_version != version:
        raise Problem("invalid-token")
    return changed


async def _account(services: Services, caller: Principal) -> UserRecord:
    user = await services.stores.users.by_id(caller.id)
    if user is None:
        raise Problem("invalid-token")
    return user
