"""The HTTP application, put together from its services; needs neither Ray nor a server."""

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware

from cluster.host_reports import HostReports, NoHosts
from persistence.stores import Stores
from serve import openapi, problem_handlers
from serve.admin_stats import ShopStats
from serve.api import (
    admin,
    admin_audit,
    admin_users,
    auth,
    cart,
    categories,
    dev_mail,
    docs,
    health,
    inventory,
    notifications,
    orders,
    payment_webhook,
    payments,
    products,
    search,
    users,
)
from serve.auth.guard import Guard
from serve.auth.passwords import PasswordHasher
from serve.auth.rate_limits import OwnRates, RateLimiter, SlidingWindows, Unlimited
from serve.auth.shared_rates import SharedRates
from serve.auth.tokens import signer_of
from serve.clock import Clock
from serve.deps import EntityRefs, MergeCart, Services
from serve.health_checks import HealthChecks
from serve.metrics import Metrics
from serve.middleware.admin_records import AdminRecordsMiddleware
from serve.middleware.body_limit import BodyLimitMiddleware
from serve.middleware.cause import CauseMiddleware
from serve.middleware.client_address import ClientAddressMiddleware
from serve.middleware.cors import CorsMiddleware
from serve.middleware.head import HeadMiddleware
from serve.middleware.last_resort import LastResortMiddleware
from serve.middleware.metrics import MetricsMiddleware
from serve.middleware.request_id import RequestIdMiddleware
from serve.middleware.request_log import RequestLog
from serve.middleware.security_headers import SecurityHeadersMiddleware
from serve.route import GuardedRoute
from serve.settings import ServeSettings
from serve.shop.cart_merge import merge_at_login
from serve.shop.offers import Offers
from serve.shop.shop_ids import shop_ids_of
from serve.shop.webhook_signatures import webhook_signatures_of
from serve.stock_reads import StockReads

ROUTERS: Final[Sequence[APIRouter]] = (
    # Matched in this order: what is asked most comes first.
    products.router,
    search.router,
    cart.router,
    orders.router,
    payments.router,
    payment_webhook.router,
    inventory.router,
    categories.router,
    auth.router,
    users.router,
    admin.router,
    admin_users.router,
    admin_audit.router,
    notifications.router,
    health.router,
)
"""Every service's routes. A new api module adds its router here, and nothing else."""


def build_app(
    refs: EntityRefs,
    stores: Stores,
    settings: ServeSettings,
    clock: Clock,
    *,
    merge_cart: MergeCart | None = merge_at_login,
    limiter: RateLimiter | None = None,
    hosts: HostReports | None = None,
    metrics: Metrics | None = None,
) -> FastAPI:
    """The application over the given entities, stores and clock. It opens nothing and closes nothing of these.

    `hosts` are the other processes of the cluster, for the metrics and the administrators.
    """
    services = _services(refs, stores, settings, clock, merge_cart, limiter, hosts or NoHosts(), metrics or Metrics())
    app = FastAPI(
        title="Stampede",
        version=openapi.VERSION,
        description=openapi.DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=_middleware(services),
    )
    app.state.services = services
    # The routes are added as they are: including a router would rebuild each behind another layer.
    for router in (*ROUTERS, *_optional_routers(settings)):
        app.router.routes.extend(router.routes)
    problem_handlers.install(app)
    openapi.install(app)
    return app


def guarded_routes(app: FastAPI) -> list[GuardedRoute]:
    """Every route of the application. Raises `TypeError` if one is not guarded."""
    for route in app.routes:
        if not isinstance(route, GuardedRoute):
            raise TypeError(f"route {route!r} is not guarded")
    return [route for route in app.routes if isinstance(route, GuardedRoute)]


def _optional_routers(settings: ServeSettings) -> list[APIRouter]:
    found = []
    if settings.metrics_served:
        found.append(health.metrics_router)
    if settings.docs_served:
        found.append(docs.router)
    if not settings.production:
        found.append(dev_mail.router)
    return found


def _services(
    refs: EntityRefs,
    stores: Stores,
    settings: ServeSettings,
    clock: Clock,
    merge_cart: MergeCart | None,
    limiter: RateLimiter | None,
    hosts: HostReports,
    metrics: Metrics,
) -> Services:
    chosen = limiter or _limiter(stores, settings, clock)
    signer = signer_of(settings)
    return Services(
        refs=refs,
        stores=stores,
        settings=settings,
        clock=clock,
        signer=signer,
        guard=Guard(signer=signer, users=stores.users, limiter=chosen, settings=settings, clock=clock),
        passwords=PasswordHasher(
            rounds=settings.auth_bcrypt_rounds,
            threads_max=settings.auth_bcrypt_threads_max,
            queue_max=settings.auth_bcrypt_queue_max,
        ),
        limiter=chosen,
        stock=StockReads(stores.stock, clock, max_age_ms=settings.catalog_stock_age_ms),
        offers=Offers(stores.catalog, stores.stock, clock),
        ids=shop_ids_of(settings),
        webhook=webhook_signatures_of(settings),
        health=HealthChecks(stores, clock, timeout_ms=settings.health_check_timeout_ms),
        metrics=metrics,
        hosts=hosts,
        stats=ShopStats(stores, clock, low_stock_max=settings.inventory_low_stock_max),
        merge_cart=merge_cart,
    )


def _limiter(stores: Stores, settings: ServeSettings, clock: Clock) -> RateLimiter:
    if not settings.limits_enabled:
        return Unlimited()
    own = SlidingWindows(clock.now_ms)
    return OwnRates(own) if stores.rates is None else SharedRates(stores.rates, own)


def _middleware(services: Services) -> list[Middleware]:
    """Outermost first: whatever happens further in, the answer has an id, the headers and a count."""
    settings = services.settings
    return [
        Middleware(RequestIdMiddleware),
        Middleware(CauseMiddleware),
        Middleware(SecurityHeadersMiddleware, hsts=settings.production),
        Middleware(
            MetricsMiddleware,
            metrics=services.metrics,
            log=RequestLog(slow_ms=settings.http_slow_request_ms, every=settings.http_log_requests),
        ),
        Middleware(CorsMiddleware, origins=settings.http_cors_origins),
        Middleware(HeadMiddleware),
        Middleware(AdminRecordsMiddleware, records=services.stores.admin_records, clock=services.clock),
        Middleware(LastResortMiddleware),
        Middleware(ClientAddressMiddleware, trusted_proxies=settings.proxies_believed),
        Middleware(
            BodyLimitMiddleware, bytes_max=settings.http_body_bytes_max, timeout_ms=settings.http_body_timeout_ms
        ),
    ]
