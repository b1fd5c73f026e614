"""Sessions: an access token and a rotating refresh token, made at login and renewed from one another."""

import secrets

from persistence.ports import Users
from persistence.records import RefreshTokenRecord, UserRecord
from serve.auth.principal import Role
from serve.auth.tokens import TokenSigner, new_refresh_token, refresh_token_hash
from serve.errors import Problem
from serve.schemas.users import SessionOut, UserOut
from serve.settings import ServeSettings


class Sessions:
    """Opens, renews and closes sessions.

    Guarantees: a refresh token works once; whoever presents it again ends its whole family, so a stolen one cannot be
    used beside its owner's for long. A change of password ends all of an account's. The store has only hashes.
    """

    def __init__(self, users: Users, signer: TokenSigner, settings: ServeSettings) -> None:
        self._users = users
        self._signer = signer
        self._access_ttl_s = settings.auth_access_ttl_s
        self._refresh_ttl_s = settings.auth_refresh_ttl_s

    async def open(self, user: UserRecord, now_ms: int, family: str | None = None) -> SessionOut:
        """A new session of an account, or the next one of a family."""
        refresh_token = new_refresh_token()
        await self._users.add_refresh(
            RefreshTokenRecord(
                token_hash=refresh_token_hash(refresh_token),
                family=family or secrets.token_hex(16),
                user_id=user.id,
                password_version=user.password_version,
                expires_at_ms=now_ms + self._refresh_ttl_s * 1_000,
                used_at_ms=None,
            )
        )
        token = self._signer.issue(
            subject=user.id,
            role=Role(user.role),
            now_ms=now_ms,
            ttl_s=self._access_ttl_s,
            email=user.email,
            password_version=user.password_version,
        )
        return SessionOut(
            user=UserOut.of(user), token=token, refresh_token=refresh_token, expires_in=self._access_ttl_s
        )

    async def renew(self, refresh_token: str, now_ms: int) -> SessionOut:
        """The next session of the token's family. Raises `Problem` 401; reuse also ends the family."""
        held = await self._users.use_refresh(refresh_token_hash(refresh_token), now_ms)
        if held is None:
            raise Problem("invalid-token")
        if held.used_at_ms is not None:
            await self._users.drop_family(held.family)
            raise Problem("invalid-token")
        user = await self._users.by_id(held.user_id)
        if user is None or held.expires_at_ms <= now_ms or held.password_version != user.password_version:
            raise Problem("invalid-token")
        return await self.open(user, now_ms, held.family)

    async def close(self, refresh_token: str, user_id: str, now_ms: int) -> None:
        """End the token's family if it is the account's. Closing what is closed changes nothing."""
        held = await self._users.use_refresh(refresh_token_hash(refresh_token), now_ms)
        if held is not None and held.user_id == user_id:
            await self._users.drop_family(held.family)
