"""What is killed under load comes back within its bound, and nothing that a client was told is lost."""

import asyncio
import signal
from typing import Final

import psutil
import pytest

from tests.faults.shoppers import Crowd
from tests.live_platform import LivePlatform, send, until

pytestmark = [pytest.mark.ray, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]

SHOPPERS: Final = 20
BEFORE: Final = 60
AFTER: Final = 100
OUTAGE_S: Final = 10


async def hurt(crowd: Crowd, victim: psutil.Process) -> float:
    """kill -9 under load; returns when, once orders have been taken again for a while."""
    async with crowd.at_work(SHOPPERS):
        await crowd.succeed(BEFORE)
        killed_s = send(victim, signal.SIGKILL)
        await crowd.succeed(AFTER)
    return killed_s


async def test_a_shard_host_that_is_killed_is_replaced_within_10_s(platform: LivePlatform, crowd: Crowd) -> None:
    platform.have_hosts(1)
    (victim,) = platform.shard_hosts()
    killed_s = await hurt(crowd, victim)
    assert crowd.silence_after(killed_s) <= 10, crowd.summary()
    assert crowd.refused_after(killed_s) <= 10, crowd.summary()
    await crowd.check()
    assert [host.pid for host in platform.shard_hosts()] != [victim.pid]
    platform.audit()


async def test_a_replica_that_is_killed_is_replaced_and_requests_succeed_with_their_keys(
    platform: LivePlatform, crowd: Crowd
) -> None:
    killed_s = await hurt(crowd, platform.replica())
    assert crowd.failures_since(killed_s), "nobody noticed: the test is void"
    assert crowd.refused_after(killed_s) <= 15, crowd.summary()
    await crowd.check()
    platform.audit()


async def test_the_database_that_is_killed_is_started_again(platform: LivePlatform, crowd: Crowd) -> None:
    killed = platform.postmaster()
    killed_s = await hurt(crowd, killed)
    assert platform.postmaster() != killed
    assert crowd.silence_after(killed_s) <= 10, crowd.summary()
    assert crowd.refused_after(killed_s) <= 10, crowd.summary()
    await crowd.check()
    platform.audit()


async def test_the_database_that_hangs_for_longer_than_a_lease_costs_nobody_his_place(
    platform: LivePlatform, crowd: Crowd
) -> None:
    before = await _incarnations(platform)
    postmaster = platform.postmaster()
    async with crowd.at_work(SHOPPERS):
        await crowd.succeed(BEFORE)
        frozen = [postmaster, *postmaster.children(recursive=True)]
        for process in frozen:
            send(process, signal.SIGSTOP)
        try:
            await asyncio.sleep(OUTAGE_S)
        finally:
            for process in frozen:
                resumed_s = send(process, signal.SIGCONT)
        await crowd.succeed(AFTER)
    assert crowd.silence_after(resumed_s) <= 5, crowd.summary()
    assert crowd.refused_after(resumed_s) <= 5, crowd.summary()
    assert await _incarnations(platform) == before
    await crowd.check()
    platform.audit()


async def test_the_ingress_that_is_killed_is_started_again(platform: LivePlatform, crowd: Crowd) -> None:
    killed_s = await hurt(crowd, platform.ingress())
    assert crowd.failures_since(killed_s), "nobody noticed: the test is void"
    assert crowd.refused_after(killed_s) <= 15, crowd.summary()
    await crowd.check()


async def test_the_supervisor_that_is_killed_comes_back_and_nobody_notices(
    platform: LivePlatform, crowd: Crowd
) -> None:
    (killed,) = platform.supervisors()
    killed_s = await hurt(crowd, killed)
    assert crowd.failures_since(killed_s) == {}

    async def replaced() -> bool:
        return platform.supervisors() not in ([], [killed])

    await until(replaced, 15, "a new supervisor")
    await crowd.check()


async def _incarnations(platform: LivePlatform) -> set[str]:
    async with platform.database() as connection:
        return {row["incarnation"] for row in await connection.fetch("SELECT incarnation FROM cluster.hosts")}
