"""Access tokens: JWT, HS256 only, one key by `kid` from an allow-list."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import jwt

from serve.auth.principal import Principal, Role
from serve.auth.secrets import generated_secret, read_secret
from serve.settings import ServeSettings

ISSUER: Final = "stampede"
AUDIENCE: Final = "stampede-api"
ALGORITHM: Final = "HS256"
TOKEN_CHARACTERS_MAX: Final = 4_096
_CACHED_MAX: Final = 10_000
_REQUIRED: Final = ["exp", "nbf", "iat", "iss", "aud", "sub"]


class InvalidToken(Exception):
    """The token proves nothing: malformed, of a wrong key, algorithm, issuer or audience, or out of its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a valid token says. `password_version` is None for services."""

    subject: str
    role: Role
    email: str | None
    password_version: int | None
    not_before_ms: int
    expires_at_ms: int

    def principal(self) -> Principal:
        """The caller these claims describe."""
        return Principal(id=self.subject, role=self.role, email=self.email, expires_at_ms=self.expires_at_ms)


class TokenSigner:
    """Issues and verifies access tokens.

    Guarantees: only HS256 with a key of the allow-list verifies; `iss`, `aud`, `exp`, `nbf` are always checked, against
    the time the caller gives. Whether the password has changed since is not known here.
    """

    def __init__(self, *, kid: str, keys: Mapping[str, str]) -> None:
        self._kid = kid
        self._keys = dict(keys)
        self._verified: dict[str, Claims] = {}

    def issue(
        self,
        *,
        subject: str,
        role: Role,
        now_ms: int,
        ttl_s: int,
        email: str | None = None,
        password_version: int | None = None,
    ) -> str:
        """A signed token that is valid from now for `ttl_s` seconds."""
        now_s = now_ms // 1_000
        payload: dict[str, object] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "role": role.value,
            "iat": now_s,
            "nbf": now_s,
            "exp": now_s + ttl_s,
            "jti": secrets.token_hex(8),
        }
        if email is not None:
            payload["email"] = email
        if password_version is not None:
            payload["pv"] = password_version
        return jwt.encode(payload, self._keys[self._kid], algorithm=ALGORITHM, headers={"kid": self._kid})

    def verify(self, token: str, now_ms: int) -> Claims:
        """The claims of a valid token. Raises `InvalidToken`."""
        claims = self._verified.get(token)
        if claims is None:
            claims = self._decode(token)
            # The signature of the same text stays good; only the time must be looked at again.
            if len(self._verified) >= _CACHED_MAX:
                self._verified.clear()
            self._verified[token] = claims
        if not claims.not_before_ms <= now_ms < claims.expires_at_ms:
            raise InvalidToken
        return claims

    def _decode(self, token: str) -> Claims:
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise InvalidToken
        try:
            header = jwt.get_unverified_header(token)
            key = self._keys.get(str(header.get("kid")))
            if key is None or header.get("alg") != ALGORITHM:
                raise InvalidToken
            payload = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                options={"require": _REQUIRED, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
            return _claims(payload)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise InvalidToken from None


def _claims(payload: Mapping[str, object]) -> Claims:
    not_before, expires = payload["nbf"], payload["exp"]
    subject, email, version = payload["sub"], payload.get("email"), payload.get("pv")
    if type(not_before) is not int or type(expires) is not int or not isinstance(subject, str):
        raise InvalidToken
    role = Role(str(payload.get("role")))
    if role is Role.GUEST or (type(version) is not int and role is not Role.SERVICE):
        raise InvalidToken
    return Claims(
        subject=subject,
        role=role,
        email=email if isinstance(email, str) else None,
        password_version=version if type(version) is int else None,
        not_before_ms=not_before * 1_000,
        expires_at_ms=expires * 1_000,
    )


def signer_of(settings: ServeSettings) -> TokenSigner:
    """The signer with the keys that the settings name; in development the key is made in the data folder."""
    if settings.auth_jwt_secret is not None:
        current = settings.auth_jwt_secret.get_secret_value()
    elif settings.auth_jwt_secret_file is not None:
        current = read_secret(settings.auth_jwt_secret_file)
    else:
        current = generated_secret(settings.data_dir, f"jwt-{settings.auth_jwt_kid}")
    keys = {kid: secret.get_secret_value() for kid, secret in settings.auth_jwt_retired_secrets.items()}
    return TokenSigner(kid=settings.auth_jwt_kid, keys={**keys, settings.auth_jwt_kid: current})


def new_refresh_token() -> str:
    """A fresh opaque refresh token (256 bits)."""
    return "rt_" + secrets.token_urlsafe(32)


def refresh_token_hash(token: str) -> str:
    """What the store keeps of a refresh token. Plain SHA-256 is enough for 256 random bits."""
    return hashlib.sha256(token.encode("utf-8")).hexdigest()
