"""`status`: what runs in a data folder, and how it is."""

import time
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from serve.platform import state
from serve.platform.folder import DataFolder

_ANSWER_TIMEOUT_S = 3
EXIT_NOT_RUNNING = 3  # as service managers have it

Status = dict[str, Any]


def read_status(folder: DataFolder) -> Status:
    """{running, dataDir} and, of a running one, {phase, pid, version, database, host, port, urls, uptimeMs, ready, health}.

    `health` is the platform's own answer, None if it gave none.
    """
    found = state.running(folder)
    if found is None:
        return {"running": False, "dataDir": str(folder.path)}
    ready, health = _ask(found.urls["api"])
    return {
        "running": True,
        "dataDir": str(folder.path),
        "phase": found.phase,
        "pid": found.pid,
        "version": found.version,
        "database": found.database,
        "host": found.host,
        "port": found.port,
        "urls": found.urls,
        "uptimeMs": max(0, time.time_ns() // 1_000_000 - found.started_at_ms),
        "ready": ready,
        "health": health,
    }


def print_status(console: Console, status: Status) -> None:
    """The same for people."""
    if not status["running"]:
        console.print(f"nothing runs in {status['dataDir']}", highlight=False, soft_wrap=True)
        return
    table = Table.grid(padding=(0, 2))
    table.add_row("[bold]phase[/]", status["phase"] + (", ready" if status["ready"] else ", [red]not ready[/]"))
    table.add_row("[bold]process[/]", f"{status['pid']}, up {status['uptimeMs'] / 1000:.0f} s")
    table.add_row("[bold]database[/]", status["database"])
    table.add_row("[bold]data folder[/]", status["dataDir"])
    for name, url in status["urls"].items():
        table.add_row(f"[bold]{name}[/]", url)
    checks = (status["health"] or {}).get("checks", {})
    for name, check in checks.items() if isinstance(checks, dict) else ():
        table.add_row(f"[bold]{name}[/]", str(check.get("status", check) if isinstance(check, dict) else check))
    console.print(table, highlight=False, soft_wrap=True)


def _ask(url: str) -> tuple[bool, Status | None]:
    try:
        with httpx.Client(base_url=url, timeout=_ANSWER_TIMEOUT_S, trust_env=False) as client:
            ready = client.get("/ready").status_code == httpx.codes.OK
            answer: object = client.get("/health").json()
    except (httpx.HTTPError, ValueError):
        return False, None
    return ready, answer if isinstance(answer, dict) else None
