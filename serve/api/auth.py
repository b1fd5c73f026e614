"""Register, log in, validate, refresh, log out."""

import secrets
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from cluster.errors import ClusterError
from persistence.errors import AlreadyExists
from persistence.records import UserRecord
from serve.answers import answer
from serve.auth.access import allow, public
from serve.auth.guard import rate_limited
from serve.auth.principal import ACCOUNT_PREFIX, Principal, Role, is_account_id
from serve.auth.rate_limits import account_key, address_key
from serve.auth.sessions import Sessions
from serve.clock import iso
from serve.deps import Caller, Services, ServicesOf
from serve.errors import Problem, invalid_field
from serve.events import outbox_event
from serve.middleware.client_address import address_of
from serve.openapi import problems
from serve.route import service_router
from serve.schemas.users import (
    LoginIn,
    LogoutOut,
    RefreshIn,
    RegisterIn,
    SessionOut,
    ValidateIn,
    ValidateOut,
    email_key,
    login_key,
)

LOGIN_WINDOW_MS: Final = 60_000
router = service_router("auth")


def sessions_of(services: Services) -> Sessions:
    """Sessions over the process's stores and keys."""
    return Sessions(services.stores.users, services.signer, services.settings)


async def login_attempt(services: Services, request: Request, email: str) -> None:
    """Count an attempt at a password, by account (whether or not it exists) and by address. Raises 429.

    `email` is the account's key, as for `login_succeeded`.
    """
    settings = services.settings
    for key, limit in (
        (f"login-{address_key(address_of(request.scope))}", settings.limits_login_address_per_min),
        (f"login-{account_key(email)}", settings.limits_login_account_per_min),
    ):
        wait_ms = await services.limiter.hit(key, limit, LOGIN_WINDOW_MS)
        if wait_ms:
            raise rate_limited(wait_ms)


async def login_succeeded(services: Services, email: str) -> None:
    """A right password gives the account its attempts back."""
    await services.limiter.reset(f"login-{account_key(email)}")


@router.post("/auth/register", status_code=201, response_model=SessionOut, responses=problems("email-taken"))
@public()
async def register(request: Request, body: RegisterIn, services: ServicesOf) -> Response:
    """Make a customer's account and log it in."""
    now_ms = services.clock.now_ms()
    user = UserRecord(
        id=ACCOUNT_PREFIX + secrets.token_hex(16),
        email=body.email,
        email_key=email_key(body.email),
        password_hash=await services.passwords.hash(body.password),
        password_version=1,
        first_name=body.first_name,
        last_name=body.last_name,
        role=Role.CUSTOMER.value,
        created_at_ms=now_ms,
    )
    event = outbox_event(
        request,
        entity_type="user",
        entity_id=user.id,
        version=1,
        fact="registered",
        body={"userId": user.id, "role": user.role},
        at_ms=now_ms,
    )
    try:
        await services.stores.users.add(user, event)
    except AlreadyExists:
        raise Problem("email-taken") from None
    services.guard.password_versions.put(user.id, user.password_version)
    return answer(await sessions_of(services).open(user, now_ms), status=201)


@router.post("/auth/login", response_model=SessionOut, responses=problems("invalid-credentials"))
@public()
async def login(request: Request, body: LoginIn, services: ServicesOf) -> Response:
    """Log in. An unknown account and a wrong password cost and look the same."""
    if body.cart_id is not None and is_account_id(body.cart_id):
        raise invalid_field("/cart_id", "must be a guest cart's id")
    key = login_key(body.email)
    await login_attempt(services, request, key)
    user = await services.stores.users.by_email(key)
    proven = await services.passwords.matches(body.password, None if user is None else user.password_hash)
    if user is None or not proven:
        raise Problem("invalid-credentials")
    await login_succeeded(services, key)
    # So that an administrator's login leaves a record, as what they do with it will.
    request.state.principal = Principal(id=user.id, role=Role(user.role))
    session = await sessions_of(services).open(user, services.clock.now_ms())
    if body.cart_id is not None:
        await _merge_cart(services, body.cart_id, user.id)
    return answer(session)


@router.post("/auth/validate", response_model=ValidateOut, responses=problems("invalid-token"))
@public()
async def validate(request: Request, services: ServicesOf, body: ValidateIn | None = None) -> Response:
    """Say what a token is worth right now: the one in the body, or the Authorization header's."""
    if body is not None:
        principal = (await services.guard.claims(body.token)).principal()
    else:
        principal = await services.guard.identify(request.headers.get("authorization"))
    if principal.role is Role.GUEST or principal.expires_at_ms is None:
        raise Problem("unauthenticated")
    return answer(
        ValidateOut(
            user_id=principal.id,
            email=principal.email,
            role=principal.role.value,
            expires_at=iso(principal.expires_at_ms),
        )
    )


@router.post("/auth/refresh", response_model=SessionOut, responses=problems("invalid-token"))
@public()
async def refresh(body: RefreshIn, services: ServicesOf) -> Response:
    """Exchange a refresh token for a new session. It works once: a second use ends the whole family."""
    return answer(await sessions_of(services).renew(body.refresh_token, services.clock.now_ms()))


@router.post("/auth/logout", response_model=LogoutOut)
@allow(Role.CUSTOMER, Role.ADMIN)
async def logout(body: RefreshIn, caller: Caller, services: ServicesOf) -> Response:
    """Revoke a refresh token and its family."""
    await sessions_of(services).close(body.refresh_token, caller.id, services.clock.now_ms())
    return answer(LogoutOut())


async def _merge_cart(services: Services, cart_id: str, user_id: str) -> None:
    if services.merge_cart is None:
        return
    try:
        await services.merge_cart(services.refs, cart_id, user_id)
    except ClusterError:
        # Logged in all the same: the guest cart is still there, and POST /cart/:userId/merge can take it later.
        return
