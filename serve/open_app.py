"""Opens what one HTTP replica needs (stores, clock, region) and builds the application over it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp

from actors.member import open_member
from actors.system import singletons
from cluster.logs import configure_logs
from cluster.observability import ClusterMetrics
from cluster.ray_hosts import RayHostReports
from cluster.ray_transport import RayTransport
from cluster.settings import ClusterSettings
from cluster.tracing import start_tracing, stop_tracing
from persistence.settings import StoreSettings
from persistence.stores import open_stores
from serve.app import build_app
from serve.metrics import HTTP_PROCESS, Metrics
from serve.sample_data import refuse_demo_users
from serve.settings import ServeSettings


@asynccontextmanager
async def open_app() -> AsyncIterator[ASGIApp]:
    """The application of a replica, open as long as the context is. Reads its settings from the environment."""
    settings = ServeSettings()
    configure_logs(HTTP_PROCESS)
    start_tracing(HTTP_PROCESS)
    stores = await open_stores(StoreSettings())
    try:
        await refuse_demo_users(stores, settings)
        transport = RayTransport(timeout_ms=ClusterSettings().exchange_timeout_ms)
        metrics = Metrics()
        hosts = RayHostReports(stores.ownership.hosts, singletons=tuple(singletons()))
        async with open_member(stores, transport, ClusterMetrics(metrics.registry)) as member:
            app = build_app(member.refs, stores, settings, member.clock, hosts=hosts, metrics=metrics)
            async with app.router.lifespan_context(app):
                yield app
    finally:
        await stores.close()
        await asyncio.to_thread(stop_tracing)
