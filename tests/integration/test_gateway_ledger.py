"""The sandbox gateway's ledger outlives its server: a charge that was answered may be recorded only after a crash."""

import os
import signal

import psutil
import pytest

from persistence.embedded import EmbeddedPostgres
from persistence.postgres.migrate import migrate
from persistence.records import LedgerRow
from persistence.settings import StoreSettings
from persistence.stores import open_stores

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(120)]

CHARGES = 5


async def test_a_charge_that_was_answered_survives_kill_9_of_every_database_process(server: EmbeddedPostgres) -> None:
    settings = StoreSettings.of(server.url)
    await migrate(settings)
    for attempt in range(CHARGES):
        key = f"ord_a:capture:{attempt}"
        stores = await open_stores(settings)
        try:
            await stores.ledger.put([charge(key)])
            kill_all(server)
        finally:
            await stores.close()
        assert server.wait_for_starts(attempt + 2, timeout_ms=10_000)
        stores = await open_stores(settings)
        try:
            assert set(await stores.ledger.find([key])) == {key}
        finally:
            await stores.close()


def kill_all(server: EmbeddedPostgres) -> None:
    """At once: what is only in the server's memory is gone."""
    assert server.pid is not None
    postmaster = psutil.Process(server.pid)
    for process in [postmaster, *postmaster.children(recursive=True)]:
        os.kill(process.pid, signal.SIGKILL)


def charge(key: str) -> LedgerRow:
    return LedgerRow(
        key=key,
        kind="capture",
        status="succeeded",
        amount_minor=1_999,
        currency="USD",
        reference="sb_1",
        reason="",
        last4="4242",
        at_ms=1,
    )
