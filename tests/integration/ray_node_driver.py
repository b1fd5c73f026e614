"""A platform in small, run as a program by the tests of the Ray node: its node, an application, one shard host.

usage: ray_node_driver.py DATA_DIR PORT. Prints one line of JSON when it serves; stops at SIGTERM or Ctrl-C.
"""

import asyncio
import itertools
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from serve.ray_node import prepare_node, start_node, stop_node


class EchoHost:
    """Answers an exchange with its own bytes, and says in which loop it lives."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._started = False

    async def start(self) -> None:
        self._started = True

    async def exchange(self, request: bytes) -> bytes:
        return request[::-1]

    def describe(self) -> dict[str, Any]:
        loop = type(asyncio.get_running_loop()).__module__
        return {"name": self._name, "started": self._started, "loop": loop}

    def metrics(self) -> bytes:
        return b"\x90"

    async def drain(self) -> None:
        self._started = False

    async def stop(self) -> None:
        self._started = False


@asynccontextmanager
async def open_app() -> AsyncIterator[FastAPI]:
    import ray

    app = FastAPI()
    host: Any = ray.get_actor("host-1", namespace="stampede")
    opened_in = asyncio.get_running_loop()

    @app.get("/noop")
    async def noop() -> dict[str, bool]:
        return {"same_loop": asyncio.get_running_loop() is opened_in}

    @app.get("/headers")
    async def headers(request: Request) -> dict[str, str]:
        return dict(request.headers)

    running = {"streams": 0, "slow": 0}

    @app.get("/slow")
    async def slow() -> dict[str, str]:
        running["slow"] += 1
        await asyncio.sleep(2)
        running["slow"] -= 1
        return {"answer": "late"}

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def ticks() -> AsyncIterator[str]:
            running["streams"] += 1
            try:
                for tick in itertools.count():
                    yield f"data: {tick}\n\n"
                    await asyncio.sleep(0.2)
            finally:
                running["streams"] -= 1

        return StreamingResponse(ticks(), media_type="text/event-stream")

    @app.get("/running")
    async def count_running() -> dict[str, int]:
        return running

    @app.get("/pid")
    async def pid() -> int:
        return os.getpid()

    @app.post("/exchange")
    async def exchange(request: Request) -> dict[str, str]:
        answer = await host.exchange.remote(await request.body())
        return {"answer": answer.decode()}

    yield app


def end(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def main(data_dir: Path, port: int) -> None:
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    plan = prepare_node(data_dir, "127.0.0.1", port)
    try:
        start_node(plan, progress=partial(print, file=sys.stderr, flush=True))
        import ray

        from actors.shard_host_actor import ShardHostActor
        from serve.deployment import DeploymentSettings, deploy

        actor_class: Any = ray.remote(ShardHostActor)
        options = {"name": "host-1", "namespace": "stampede", "lifetime": "detached", "num_cpus": 0}
        host = actor_class.options(**options).remote(partial(EchoHost, "host-1"))
        ray.get(host.ping.remote())
        deploy(open_app, DeploymentSettings())
        print(json.dumps({"host": ray.get(host.describe.remote())}), flush=True)
        signal.pause()
    finally:
        killed = stop_node(plan, progress=partial(print, file=sys.stderr, flush=True))
        print(json.dumps({"killed": killed}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
