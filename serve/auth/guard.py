"""Stands before every route: who is calling, how often, and may they."""

from typing import Final

from starlette.requests import Request

from persistence.ports import Users
from serve.auth.access import Access
from serve.auth.principal import GUEST, Principal, Role
from serve.auth.rate_limits import RateLimiter, address_key
from serve.auth.tokens import Claims, InvalidToken, TokenSigner
from serve.clock import Clock
from serve.errors import Problem
from serve.fresh_cache import FreshCache
from serve.middleware.client_address import address_of
from serve.settings import ServeSettings

GENERAL_WINDOW_MS: Final = 10_000


class Guard:
    """Admits or refuses requests.

    Guarantees: a token counts only while its signature, times and password version hold; the version is read at most
    `auth_password_version_age_ms` behind the store. A token that is presented and does not count is 401, also where
    a guest would be let in.
    """

    def __init__(
        self, *, signer: TokenSigner, users: Users, limiter: RateLimiter, settings: ServeSettings, clock: Clock
    ) -> None:
        self._signer = signer
        self._limiter = limiter
        self._limit = settings.limits_requests_per_10s
        self._clock = clock
        self.password_versions = FreshCache(
            users.password_versions, max_age_ms=settings.auth_password_version_age_ms, now_ms=clock.now_ms
        )

    async def admit(self, request: Request, access: Access) -> Principal:
        """The caller, if the route may be called by them now. Raises `Problem` 401, 403 or 429.

        Who it is stands in `request.state.principal` from then on, also if they are refused with 403.
        """
        principal = GUEST
        if not access.public:
            try:
                principal = await self.identify(request.headers.get("authorization"))
            except Problem:
                await self._count(request, GUEST)
                raise
        if access.limited:
            await self._count(request, principal)
        request.state.principal = principal
        if principal.role not in access.roles:
            raise Problem("unauthenticated" if principal.role is Role.GUEST else "forbidden")
        return principal

    async def _count(self, request: Request, principal: Principal) -> None:
        key = principal.id or address_key(address_of(request.scope))
        wait_ms = await self._limiter.hit(key, self._limit, GENERAL_WINDOW_MS)
        if wait_ms:
            raise rate_limited(wait_ms)

    async def identify(self, authorization: str | None) -> Principal:
        """The caller behind an Authorization header; a guest without one. Raises `Problem` 401."""
        if authorization is None:
            return GUEST
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Problem("invalid-token")
        return (await self.claims(token.strip())).principal()

    async def claims(self, token: str) -> Claims:
        """The claims of a token that counts right now. Raises `Problem` 401."""
        try:
            claims = self._signer.verify(token, self._clock.now_ms())
        except InvalidToken:
            raise Problem("invalid-token") from None
        if claims.role is not Role.SERVICE:
            current = await self.password_versions.get(claims.subject)
            if current is None or current != claims.password_version:
                raise Problem("invalid-token")
        return claims


def rate_limited(wait_ms: int) -> Problem:
    """429 that says when to come back."""
    return Problem("rate-limited", headers={"Retry-After": str(-(-wait_ms // 1_000))})
