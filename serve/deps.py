"""What routes are given: the services of this process, and the caller of the request."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends
from starlette.requests import Request

from actors.refs import EntityReply as EntityReply  # noqa: PLC0414 - part of EntityRefs, re-exported with it
from cluster.envelope import IdempotencyKey
from cluster.host_reports import HostReports
from persistence.stores import Stores
from serve.admin_stats import ShopStats
from serve.auth.guard import Guard
from serve.auth.passwords import PasswordHasher
from serve.auth.principal import Principal
from serve.auth.rate_limits import RateLimiter
from serve.auth.tokens import TokenSigner
from serve.clock import Clock
from serve.health_checks import HealthChecks
from serve.metrics import Metrics
from serve.settings import ServeSettings
from serve.shop.offers import Offers
from serve.shop.shop_ids import ShopIds
from serve.shop.webhook_signatures import WebhookSignatures
from serve.stock_reads import StockReads


class EntityRefs(Protocol):
    """The way to the entities, wherever they live."""

    async def ask(
        self,
        entity_type: str,
        entity_id: str,
        command: object,
        *,
        command_id: str | None,
        idempotency: IdempotencyKey | None,
        actor: str,
        deadline_ms: int,
    ) -> EntityReply:
        """Send one command and wait for its answer, at most `deadline_ms` from now.

        A refusal is a reply. Raises `cluster.errors.ClusterError`; if its `may_have_run` is set, resend with the same
        `command_id` or idempotency key. Without a `command_id` one is made. `actor` is who is behind it (an account
        or service id, or a guest's cart id), for the history.
        """


MergeCart = Callable[[EntityRefs, str, str], Awaitable[None]]
"""`merge(refs, guest_cart_id, user_id)`: adds a guest's cart to an account's. Raises `ClusterError`.

Called by login; a refusal (the source is being checked out, say) is no reason to refuse the login, so it returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything the routes of one process share."""

    refs: EntityRefs
    stores: Stores
    settings: ServeSettings
    clock: Clock
    signer: TokenSigner
    guard: Guard
    passwords: PasswordHasher
    limiter: RateLimiter
    stock: StockReads
    offers: Offers
    ids: ShopIds
    webhook: WebhookSignatures
    health: HealthChecks
    metrics: Metrics
    hosts: HostReports
    """The other processes of the cluster: `describe()` and `metrics()` ask them all."""
    stats: ShopStats
    merge_cart: MergeCart | None = None


def services_of(request: Request) -> Services:
    """The process's services."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


async def _services(request: Request) -> Services:
    # A coroutine, because the framework runs plain functions in a thread.
    return services_of(request)


async def _caller(request: Request) -> Principal:
    principal = request.state.principal
    assert isinstance(principal, Principal)
    return principal


ServicesOf = Annotated[Services, Depends(_services)]
"""Parameter type of a route that wants the services."""

Caller = Annotated[Principal, Depends(_caller)]
"""Parameter type of a route that wants the caller, whom the guard has admitted."""
