"""The caller of a request: role, identity, and what follows from owning an account."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from serve.errors import not_found

ACCOUNT_PREFIX: Final = "usr_"


class Role(StrEnum):
    """Who may call. `GUEST` is anybody without a token."""

    GUEST = "guest"
    CUSTOMER = "customer"
    ADMIN = "admin"
    SERVICE = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is calling. `id` is an account's (`usr_…`), a service's (`svc_…`), or empty for a guest."""

    id: str
    role: Role
    email: str | None = None
    expires_at_ms: int | None = None

    @property
    def is_admin(self) -> bool:
        """Whether this is an administrator."""
        return self.role is Role.ADMIN

    def owns(self, user_id: str) -> bool:
        """Whether `user_id` is this caller's own account, or the caller may see everybody's."""
        return self.is_admin or (bool(self.id) and self.id == user_id)


GUEST: Final = Principal(id="", role=Role.GUEST)


def is_account_id(identifier: str) -> bool:
    """Whether an id has the form of an account's (such a cart id needs that account's token)."""
    return identifier.startswith(ACCOUNT_PREFIX)


def require_owner(principal: Principal, user_id: str) -> None:
    """Let the owner and administrators pass; to anybody else the resource does not exist (404)."""
    if not principal.owns(user_id):
        raise not_found()


def require_cart(principal: Principal, cart_id: str) -> None:
    """Who may use a cart: an account's cart its owner, a guest cart whoever knows its id. Else 404."""
    if is_account_id(cart_id):
        require_owner(principal, cart_id)


def idempotency_principal(principal: Principal, cart_id: str) -> str:
    """In whose name a key counts: the account or service, or for a guest the cart id."""
    return principal.id or cart_id
