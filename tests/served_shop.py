"""The shop in one process behind a real socket, for tools that speak HTTP: on a loop of its own, in a thread."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from tests.shop_world import Headers, open_shop

_START_TIMEOUT_S = 20
_STOP_TIMEOUT_S = 20


@dataclass
class ServedShop:
    """Where it listens, and the headers of an administrator and of a service."""

    url: str
    admin: Headers
    service: Headers


@contextmanager
def served_shop(data_dir: Path, **settings: Any) -> Iterator[ServedShop]:
    """A shop of memory stores as `open_shop` makes it, on a free port of 127.0.0.1."""
    # With its protocol named, or the loop would leave Nagle's algorithm on, and every answer would wait 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        # The port is ours before anybody is told of it.
        listening.listen(128)
        thread = _ShopThread(data_dir, listening, settings)
        thread.start()
        try:
            yield thread.wait_until_served()
        finally:
            thread.stop()


class _ShopThread(threading.Thread):
    def __init__(self, data_dir: Path, listening: socket.socket, settings: dict[str, Any]) -> None:
        super().__init__(name="served-shop", daemon=True)
        self._data_dir = data_dir
        self._socket = listening
        self._settings = settings
        self._served = threading.Event()
        self._shop: ServedShop | None = None
        self._failed: BaseException | None = None
        self._server: uvicorn.Server | None = None

    def run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - told to whoever waits for the shop
            self._failed = error
        finally:
            self._served.set()

    def wait_until_served(self) -> ServedShop:
        assert self._served.wait(_START_TIMEOUT_S), "the shop did not start in time"
        if self._shop is None:
            raise RuntimeError("the shop did not start") from self._failed
        return self._shop

    def stop(self) -> None:
        if self._server is not None:
            self._server.should_exit = True
        self.join(_STOP_TIMEOUT_S)
        assert not self.is_alive(), "the shop did not stop in time"
        if self._failed is not None:
            raise RuntimeError("the shop failed") from self._failed

    async def _serve(self) -> None:
        async with open_shop(self._data_dir, **self._settings) as shop:
            config = uvicorn.Config(shop.app, lifespan="off", log_level="error", access_log=False, ws="none")
            self._server = uvicorn.Server(config)
            port = self._socket.getsockname()[1]
            self._shop = ServedShop(f"http://127.0.0.1:{port}", shop.admin, shop.service)
            # The socket listens already: who connects before the server accepts waits in its queue.
            self._served.set()
            await self._server.serve(sockets=[self._socket])
