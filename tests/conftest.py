"""What suites share: one real platform for everything that needs one, because a start takes half a minute."""

import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from serve.sample_data import DEMO_ADMIN
from tests.live_platform import LivePlatform, live_platform
from tests.live_shop import LiveShop, bearer, expect
from tests.servers.postgres import SERVER_SEEN
from tests.servers.seen import tell, told

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A run in the background of a shell ignores Ctrl-C, and so would every process that a test starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)

_SERVERS = pytest.StashKey[set[str]]()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of a run side by side tells its controller which server it spoke to."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["server"] = session.config.stash.get(SERVER_SEEN, "")
        output["servers"] = told(session.config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """The controller hears it."""
    output = getattr(node, "workeroutput", {})
    node.config.stash.setdefault(_SERVERS, set()).add(output.get("server", ""))
    for server, what in output.get("servers", {}).items():
        tell(node.config, server, what)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell which server the suites spoke to: nothing passes silently against nothing."""
    seen = {config.stash.get(SERVER_SEEN, ""), *config.stash.get(_SERVERS, set())} - {""}
    for server in sorted(seen):
        terminalreporter.write_line(f"stores: memory, and {server}")
    for server, what in sorted(told(config).items()):
        terminalreporter.write_line(f"{server}: {what}")


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
