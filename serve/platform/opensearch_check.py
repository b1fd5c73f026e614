"""Whether the OpenSearch that OPENSEARCH_URL names can be used: asked before anything is started on it."""

import asyncio
from collections.abc import Callable

from persistence.errors import StoreMisconfigured, StoreUnavailable
from persistence.settings import StoreSettings
from serve.platform.errors import UserError


def check_opensearch(settings: StoreSettings, note: Callable[[str], None]) -> None:
    """Raises `UserError` if it refuses the password, or is none, or too old. The URL is not shown: it has a password.

    One that is away is noted only: the shop sells without search, and searches are answered as soon as it is there.
    """
    # A platform without OpenSearch need not load its driver.
    from persistence.opensearch.product_search import open_search  # noqa: PLC0415

    async def ask() -> None:
        assert settings.opensearch_url is not None
        search = open_search(settings.opensearch_url.get_secret_value(), settings)
        try:
            await search.check()
        finally:
            await search.close()

    try:
        asyncio.run(ask())
    except StoreMisconfigured as error:
        raise UserError(str(error)) from error
    except StoreUnavailable as error:
        note(f"OPENSEARCH_URL: {error}; searches answer 503 until it is there")
