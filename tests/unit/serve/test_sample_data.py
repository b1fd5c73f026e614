"""The sample catalog, loaded through the API."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest

from persistence.product_lists import price_minor
from persistence.records import ProductQuery
from serve import sample_data
from serve.sample_data import DEMO_ADMIN, DEMO_CUSTOMER
from tests.http_app import World, open_world, settings_for_tests


class Platform(httpx.AsyncBaseTransport):
    """The application, with an inventory of its own that remembers keys."""

    def __init__(self, world: World) -> None:
        self.inner = httpx.ASGITransport(world.app)
        self.stock: dict[str, int] = {}
        self.keys: set[str] = set()
        self.writes = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.writes += request.method != "GET" and "auth" not in request.url.path
        match = re.fullmatch(r"/api/v1/inventory/([^/]+)(/adjust)?", request.url.path)
        if match is None:
            return await self.inner.handle_async_request(request)
        sku = match[1]
        if match[2]:
            key = request.headers["idempotency-key"]
            if key not in self.keys:
                self.keys.add(key)
                self.stock[sku] = self.stock.get(sku, 0) + msgspec.json.decode(request.content)["delta"]
        if sku not in self.stock:
            return httpx.Response(404, json={}, request=request)
        return httpx.Response(200, json={"version": 1}, request=request)


@asynccontextmanager
async def loaded(tmp_path: Path) -> AsyncIterator[tuple[World, Platform]]:
    async with open_world(tmp_path) as world:
        await sample_data.ensure_demo_users(world.stores, world.settings)
        platform = Platform(world)
        await load(platform)
        yield world, platform


async def load(platform: Platform) -> None:
    await sample_data.load("http://test", DEMO_ADMIN.email, DEMO_ADMIN.password, transport=platform)


async def test_five_categories_twelve_products_and_stock_for_every_sku(tmp_path: Path) -> None:
    async with loaded(tmp_path) as (world, platform):
        categories = await world.stores.catalog.categories()
        assert [category.name for category in categories] == [
            "Audio",
            "Computers",
            "Electronics",
            "Gaming",
            "Peripherals",
        ]
        products, _, total = await world.stores.catalog.products(ProductQuery(limit=100))
        assert total == 12
        assert platform.stock.keys() == {variant.sku for product in products for variant in product.variants}
        assert all(units > 0 for units in platform.stock.values())
        assert all(category.product_count for category in categories)


async def test_the_reference_laptop_is_there(tmp_path: Path) -> None:
    async with loaded(tmp_path) as (world, _):
        laptop = await world.stores.catalog.product("prod-laptop-001")
        assert laptop is not None
        assert (laptop.name, price_minor(laptop), laptop.currency) == ("Premium Ultrabook Pro 15", 129_999, "USD")
        assert laptop.variants[0].sku == "LAPTOP-001"


async def test_loading_again_writes_nothing(tmp_path: Path) -> None:
    async with loaded(tmp_path) as (_, platform):
        writes, stock = platform.writes, dict(platform.stock)
        await load(platform)
        assert (platform.writes, platform.stock) == (writes, stock)


async def test_loading_after_a_crash_half_way_completes(tmp_path: Path) -> None:
    async with loaded(tmp_path) as (_, platform):
        whole = dict(platform.stock)
        for sku in list(platform.stock)[5:]:
            del platform.stock[sku]
        platform.keys.clear()
        await load(platform)
        assert platform.stock == whole


async def test_the_demo_accounts_can_log_in(world: World) -> None:
    for _ in range(2):
        await sample_data.ensure_demo_users(world.stores, world.settings)
    for demo in (DEMO_ADMIN, DEMO_CUSTOMER):
        answer = await world.login(demo.email, demo.password)
        assert answer.status_code == 200
        assert answer.json()["user"]["role"] == demo.role


@pytest.mark.parametrize("settings", [{"env": "production"}, {"auth_demo_users": False}])
async def test_no_demo_accounts_in_production_or_when_switched_off(tmp_path: Path, settings: dict[str, object]) -> None:
    async with open_world(tmp_path, **settings) as world:
        await sample_data.ensure_demo_users(world.stores, world.settings)
        assert (await world.login(DEMO_ADMIN.email, DEMO_ADMIN.password)).status_code == 401


async def test_a_refused_login_is_one_clear_error(world: World) -> None:
    with pytest.raises(sample_data.SampleDataError, match="401"):
        await load(Platform(world))


async def test_production_refuses_demo_accounts_that_are_already_there(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await sample_data.ensure_demo_users(world.stores, world.settings)
        await sample_data.refuse_demo_users(world.stores, world.settings)
        production = settings_for_tests(tmp_path, env="production")
        with pytest.raises(sample_data.DemoUsersInProduction, match=r"admin@ecommerce\.local"):
            await sample_data.refuse_demo_users(world.stores, production)
