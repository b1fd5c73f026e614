"""The declaration that every route carries: which roles may call it. Without one, a route cannot be made."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from serve.auth.principal import Role

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_ATTRIBUTE: Final = "__stampede_access__"


class AccessNotDeclared(Exception):
    """A route was made without saying who may call it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may call a route. `public`: anybody, and a token is not looked at. `limited`: the general rate limit counts."""

    roles: frozenset[Role]
    public: bool = False
    limited: bool = True


def allow(*roles: Role) -> Callable[[Endpoint], Endpoint]:
    """Declare the roles that may call the endpoint; put it right above the function. Everyone else: 401 or 403.

    Customers are not implied by `ADMIN`, nor the other way round: name every role. Owning the resource is the
    endpoint's own check (`require_owner`, `require_cart`).
    """
    return _declare(Access(roles=frozenset(roles)))


def public(*, limited: bool = True) -> Callable[[Endpoint], Endpoint]:
    """Declare that anybody may call the endpoint; tokens are not even read."""
    return _declare(Access(roles=frozenset(Role), public=True, limited=limited))


def access_of(endpoint: Callable[..., Any]) -> Access:
    """The endpoint's declaration. Raises `AccessNotDeclared`."""
    declared = getattr(endpoint, _ATTRIBUTE, None)
    if not isinstance(declared, Access):
        raise AccessNotDeclared(f"{endpoint.__module__}.{endpoint.__qualname__} does not declare its roles")
    return declared


def _declare(access: Access) -> Callable[[Endpoint], Endpoint]:
    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _ATTRIBUTE, access)
        return endpoint

    return mark
