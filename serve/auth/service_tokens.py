"""Tokens for other services (role S), issued by the operator."""

import re
import time
from typing import Final

from serve.auth.principal import Role
from serve.auth.tokens import signer_of
from serve.settings import ServeSettings

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


def issue(name: str, settings: ServeSettings) -> str:
    """A token for the service `name` (lower case, digits, hyphens). Raises `ValueError` for another name.

    It lives for `auth_service_ttl_s` and ends earlier only when its signing key is withdrawn.
    """
    if _NAME.fullmatch(name) is None:
        raise ValueError("a service's name has 1 to 40 lower-case letters, digits and hyphens")
    return signer_of(settings).issue(
        subject=f"svc_{name}",
        role=Role.SERVICE,
        now_ms=time.time_ns() // 1_000_000,
        ttl_s=settings.auth_service_ttl_s,
    )
