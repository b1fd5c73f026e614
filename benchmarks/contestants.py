"""Who takes part: each starts its servers in a folder of its own, stocks one SKU, and can be audited afterwards."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import asyncpg
import httpx
import psutil

from benchmarks.peers import p1_row_lock
from persistence.embedded import EmbeddedPostgres

ROOT = Path(__file__).resolve().parent.parent
SKU = "LAPTOP-001"
READY_TIMEOUT_S = 180
ADMIN = {"email": "admin@ecommerce.local", "password": "admin123"}


class Contestant(Protocol):
    """One system under test."""

    name: str

    def start(self, folder: Path) -> None:
        """Bring it up; returns when it answers."""

    def stock(self, units: int) -> None:
        """Add units of the hot SKU."""

    def url(self) -> str:
        """Where orders are posted."""

    def cpu_seconds(self) -> dict[str, float]:
        """CPU used so far by its processes, by what they are."""

    def audit(self, accepted: int) -> list[str]:
        """Breaches found after `accepted` acknowledged orders; empty is good."""

    def stop(self) -> None:
        """End every process of it."""


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stampede:
    """The platform itself, as `./stampede up` starts it; only the rate limits are off, for one address sends all."""

    name = "stampede"

    def __init__(self) -> None:
        self._port = free_port()
        self._folder = Path()
        self._stocked = 0

    def _cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "serve.cli", *arguments, "--data-dir", str(self._folder)]
        environment = {**os.environ, "STAMPEDE_LIMITS_ENABLED": "false"}
        return subprocess.run(  # noqa: S603
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=READY_TIMEOUT_S, check=False
        )

    def start(self, folder: Path) -> None:
        """See `Contestant`."""
        self._folder = folder
        done = self._cli("up", "--detach", "--port", str(self._port))
        if done.returncode:
            raise RuntimeError(f"the platform did not start:\n{done.stdout}\n{done.stderr}")

    def stock(self, units: int) -> None:
        """See `Contestant`."""
        with httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=10, trust_env=False) as client:
            token = client.post("/api/v1/auth/login", json=ADMIN).raise_for_status().json()["token"]
            body = {"delta": units, "reason": "benchmark"}
            headers = {"Authorization": f"Bearer {token}"}
            path = f"/api/v1/inventory/{SKU}/adjust"
            self._stocked = int(client.post(path, json=body, headers=headers).raise_for_status().json()["onHand"])

    def url(self) -> str:
        """See `Contestant`."""
        return f"http://127.0.0.1:{self._port}/api/v1/orders"

    def cpu_seconds(self) -> dict[str, float]:
        """See `Contestant`."""
        state = json.loads((self._folder / "run" / "platform.json").read_text(encoding="utf-8"))
        used: dict[str, float] = {}
        for process in psutil.Process(state["pid"]).children(recursive=True):
            try:
                title, times = " ".join(process.cmdline()), process.cpu_times()
            except psutil.Error:
                continue
            kind = next((kind for mark, kind in KINDS.items() if mark in title), "ray and others")
            used[kind] = used.get(kind, 0.0) + times.user + times.system
        return used

    def audit(self, accepted: int) -> list[str]:
        """The platform's own audit, and that every acknowledged order is there."""
        done = self._cli("audit", "--json")
        try:
            found = json.loads(done.stdout)
        except ValueError:
            return [f"the audit could not run: {done.stdout[-300:]} {done.stderr[-300:]}"]
        breaches = [json.dumps(breach) for breach in found["breaches"]]
        with httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=10, trust_env=False) as client:
            level = client.get(f"/api/v1/inventory/{SKU}").raise_for_status().json()
        sold = self._stocked - level["onHand"]
        if level["onHand"] < 0 or sold < accepted:
            breaches.append(f"{accepted} acknowledged, {sold} units gone: {level}")
        return breaches

    def stop(self) -> None:
        """See `Contestant`."""
        self._cli("down")


KINDS = {
    "ServeReplica": "replica",
    "ShardHostActor": "shard host",
    "haproxy": "haproxy",
    "postgres": "postgres",
}


class RowLock:
    """P1; see `benchmarks/peers/p1_row_lock.py`."""

    name = "p1"

    def __init__(self) -> None:
        self._port = free_port()
        self._running = ExitStack()
        self._database: EmbeddedPostgres | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._stocked = 0

    def start(self, folder: Path) -> None:
        """See `Contestant`."""
        self._database = self._running.enter_context(EmbeddedPostgres(folder / "postgres"))
        asyncio.run(self._execute(p1_row_lock.SCHEMA.read_text(encoding="utf-8")))
        command = [sys.executable, "-m", "uvicorn", "benchmarks.peers.p1_row_lock:app", "--port", str(self._port)]
        environment = {**os.environ, "PEER_DATABASE_URL": self._database.url}
        self._server = subprocess.Popen(  # noqa: S603
            [*command, "--log-level", "warning", "--no-access-log"], cwd=ROOT, env=environment
        )
        self._running.callback(self._server.wait)
        self._running.callback(self._server.terminate)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                httpx.get(f"http://127.0.0.1:{self._port}/docs", timeout=2, trust_env=False)
            except httpx.HTTPError:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError("P1 did not start")

    async def _execute(self, sql: str, *arguments: object) -> None:
        assert self._database is not None
        connection = await asyncpg.connect(self._database.url)
        try:
            await connection.execute(sql, *arguments)
        finally:
            await connection.close()

    async def _one(self, sql: str) -> asyncpg.Record:
        assert self._database is not None
        connection = await asyncpg.connect(self._database.url)
        try:
            row = await connection.fetchrow(sql)
        finally:
            await connection.close()
        assert row is not None
        return row

    def stock(self, units: int) -> None:
        """See `Contestant`."""
        sql = (
            "INSERT INTO stock VALUES ($1, $2, 129999)"
            " ON CONFLICT (sku) DO UPDATE SET on_hand = stock.on_hand + excluded.on_hand"
        )
        asyncio.run(self._execute(sql, SKU, units))
        self._stocked += units

    def url(self) -> str:
        """See `Contestant`."""
        return f"http://127.0.0.1:{self._port}/api/v1/orders"

    def cpu_seconds(self) -> dict[str, float]:
        """See `Contestant`."""
        assert self._server is not None
        used: dict[str, float] = {}
        mine = psutil.Process()
        for process in mine.children(recursive=True):
            try:
                title, times = " ".join(process.cmdline()), process.cpu_times()
            except psutil.Error:
                continue
            kind = "server" if "uvicorn" in title else "postgres" if "postgres" in title else "others"
            used[kind] = used.get(kind, 0.0) + times.user + times.system
        return used

    def audit(self, accepted: int) -> list[str]:
        """Units sold = units ordered, and as many confirmed orders with a payment as were acknowledged, or more."""
        sql = (
            "SELECT (SELECT on_hand FROM stock) AS left_over, (SELECT count(*) FROM orders) AS orders,"
            " (SELECT count(*) FROM payments) AS payments"
        )
        row = asyncio.run(self._one(sql))
        breaches = []
        if row["left_over"] < 0 or self._stocked - row["left_over"] != row["orders"]:
            breaches.append(f"stock and orders disagree: {dict(row)} of {self._stocked}")
        if row["payments"] < accepted:
            breaches.append(f"{accepted} acknowledged, {row['payments']} paid")
        return breaches

    def stop(self) -> None:
        """See `Contestant`."""
        self._running.close()
