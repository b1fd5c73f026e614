"""Opens what one HTTP replica needs (stores, clock, region) and builds the application over it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp

from actors.member import open_member
from cluster.ray_transport import RayTransport
from cluster.settings import ClusterSettings
from persistence.settings import StoreSettings
from persistence.stores import open_stores
from serve.app import build_app
from serve.sample_data import refuse_demo_users
from serve.settings import ServeSettings


@asynccontextmanager
async def open_app() -> AsyncIterator[ASGIApp]:
    """The application of a replica, open as long as the context is. Reads its settings from the environment."""
    settings = ServeSettings()
    stores = await open_stores(StoreSettings())
    try:
        await refuse_demo_users(stores, settings)
        transport = RayTransport(timeout_ms=ClusterSettings().exchange_timeout_ms)
        async with open_member(stores, transport) as member:
            app = build_app(member.refs, stores, settings, member.clock)
            async with app.router.lifespan_context(app):
                yield app
    finally:
        await stores.close()
