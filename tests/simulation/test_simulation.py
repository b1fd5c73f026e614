"""The whole platform core under everything that can go wrong, from fixed seeds; more of them by hand."""

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable

import pytest

from tests.simulation import schedules
from tests.simulation.history import History
from tests.simulation.run import run_seed
from tests.simulation.world import World

SEEDS_QUICK = 200
SEEDS_SLOW = 1_000
SEEDS_A_TEST = 10
SCHEDULES = (
    schedules.a_sample_in_the_socket,
    schedules.a_copy_after_the_refusal,
    schedules.copies_after_the_deed,
    schedules.a_host_started_twice,
    schedules.a_zombie_gives_back,
)


def _run(first: int, count: int) -> None:
    failed = [outcome for outcome in map(run_seed, range(first, first + count)) if outcome.breaches]
    assert not failed, "\n\n".join(outcome.report() for outcome in failed[:2])


@pytest.mark.parametrize("first", range(0, SEEDS_QUICK, SEEDS_A_TEST))
def test_whatever_goes_wrong_the_invariants_hold(first: int) -> None:
    _run(first, SEEDS_A_TEST)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(SEEDS_QUICK, SEEDS_SLOW, SEEDS_A_TEST))
def test_whatever_goes_wrong_the_invariants_hold_for_many_seeds(first: int) -> None:
    _run(first, SEEDS_A_TEST)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.__name__)
def test_the_invariants_hold_on_schedules_of_their_own(
    schedule: Callable[[World, History], Awaitable[None]],
) -> None:
    for seed in range(12):
        outcome = run_seed(seed, scenario=schedule)
        assert not outcome.breaches, outcome.report()


def test_a_seed_is_the_same_run_every_time_whatever_the_hash_seed_is() -> None:
    program = (
        "from hashlib import sha256; from tests.simulation.run import run_seed; "
        "print([sha256(repr(run_seed(seed).trace).encode()).hexdigest() for seed in (4, 31)])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(said) == 1
