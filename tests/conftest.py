"""What suites share: one real platform for everything that needs one, because a start takes half a minute."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from serve.sample_data import DEMO_ADMIN
from tests.live_platform import LivePlatform, live_platform
from tests.live_shop import LiveShop, bearer, expect


@pytest.fixture(scope="session")
def platform() -> Iterator[LivePlatform]:
    yield from live_platform()


@pytest.fixture(scope="session")
def admin(platform: LivePlatform) -> dict[str, str]:
    """The demo administrator's headers: one login for all tests, since logins are limited."""
    body = {"email": DEMO_ADMIN.email, "password": DEMO_ADMIN.password}
    return bearer(expect(httpx.post(f"{platform.url}/api/v1/auth/login", json=body, trust_env=False), 200))


@pytest.fixture
async def shop(platform: LivePlatform, admin: dict[str, str]) -> AsyncIterator[LiveShop]:
    async with LiveShop(platform.url, admin) as opened:
        yield opened
