"""What a process knows of the database's time, and what it makes of its lease."""

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.clock import ClockUnknown, DatabaseClock, Interval, Judge, by_earliest, by_latest
from cluster.deadline import not_after_ms, remaining_ms, too_far
from cluster.membership import HostIdentity, Membership
from cluster.observability import ClusterMetrics
from cluster.settings import ClusterSettings
from persistence.errors import StoreUnavailable
from persistence.memory.ownership import MemoryOwnership
from persistence.memory.seams import Seams
from persistence.memory.tables import ClusterTables
from tests.simulation.virtual_loop import run_virtual


@dataclass
class Time:
    """The true time of the database, and ways for a question to take long."""

    true_ms: int = 1_000_000
    on_the_way_ms: int = 0
    on_the_way_back_ms: int = 0
    down: bool = False

    async def answer(self) -> int:
        if self.down:
            raise StoreUnavailable("down")
        self.true_ms += self.on_the_way_ms
        told = self.true_ms
        self.true_ms += self.on_the_way_back_ms
        return told

    def monotonic(self) -> float:
        return self.true_ms - 990_000

    def clock(self) -> DatabaseClock:
        return DatabaseClock(self.answer, monotonic=self.monotonic)


def test_nobody_knows_the_time_before_the_first_sample() -> None:
    with pytest.raises(ClockUnknown):
        Time().clock().now()


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 9_000), st.integers(0, 9_000), st.integers(0, 9_000), st.booleans()), min_size=1)
)
def test_the_interval_always_holds_the_true_time_and_never_goes_back(steps: list[tuple[int, int, int, bool]]) -> None:
    async def scenario() -> None:
        time = Time()
        clock = time.clock()
        await clock.sample_once()
        last = Interval(0, 0)
        for there, back, later, time.down in steps:
            time.on_the_way_ms, time.on_the_way_back_ms = there, back
            await clock.sample_once()
            for _ in range(2):
                now = clock.now()
                assert now.earliest_ms <= time.true_ms <= now.latest_ms
                assert now.earliest_ms >= last.earliest_ms
                assert now.latest_ms >= last.latest_ms
                last = now
                time.true_ms += later

    run_virtual(scenario())


def test_a_deadline_is_over_when_it_may_be_over_and_never_far_away() -> None:
    async def scenario() -> None:
        time = Time(on_the_way_back_ms=400)
        clock = time.clock()
        await clock.sample_once()
        deadline = not_after_ms(clock, 2_000)
        assert remaining_ms(clock, deadline) == 2_000
        time.true_ms += 2_000
        assert remaining_ms(clock, deadline) == 0
        longest = not_after_ms(clock, 60_000)
        assert longest == clock.now().earliest_ms + 10_000
        assert not too_far(clock, longest)
        assert too_far(clock, longest + 1_000)

    run_virtual(scenario())


def _member(time: Time, tables: ClusterTables, name: str = "h", judge: Judge = by_latest) -> Membership:
    incarnations = iter(range(100))
    return Membership(
        store=MemoryOwnership(tables, lambda: time.true_ms),
        clock=time.clock(),
        identity=HostIdentity(host=name, node="n", actor_name=name),
        new_incarnation=lambda: f"{name}{next(incarnations)}",
        settings=ClusterSettings(),
        metrics=ClusterMetrics(),
        judge=judge,
    )


@pytest.mark.parametrize(("judge", "believes"), [(by_latest, False), (by_earliest, True)])
def test_only_the_latest_time_sees_that_answers_lay_in_the_socket_of_a_frozen_process(
    judge: Judge, believes: bool
) -> None:
    """The planted bug *lease judged by the earliest time*: both answers are 9 s old when the process wakes up."""

    async def scenario() -> None:
        time = Time()
        tables = ClusterTables()
        member = _member(time, tables, judge=judge)
        clock = member._clock
        assert isinstance(clock, DatabaseClock)
        await clock.sample_once()
        await member.start()
        time.on_the_way_back_ms = 9_000
        await clock.sample_once()
        assert tables.hosts["h", "h0"].expires_at_ms < time.true_ms
        assert member.may_answer() is believes
        await member.stop()

    run_virtual(scenario())


def test_a_lease_ends_a_margin_before_its_row_expires() -> None:
    async def scenario() -> None:
        time = Time()
        member = _member(time, ClusterTables())
        clock = member._clock
        assert isinstance(clock, DatabaseClock)
        assert not member.may_answer()
        await clock.sample_once()
        await member.start()
        assert member.may_answer()
        time.true_ms += 4_400
        assert member.may_answer()
        time.true_ms += 101
        assert not member.may_answer()
        await member.stop()

    run_virtual(scenario())


async def _run(time: Time, seconds: float) -> None:
    """Let virtual time and the database's clock pass together."""
    for _ in range(int(seconds * 20)):
        await asyncio.sleep(0.05)
        time.true_ms += 50


def test_a_buried_host_stops_everything_before_it_joins_again_as_another() -> None:
    async def scenario() -> None:
        time, tables = Time(), ClusterTables()
        member = _member(time, tables)
        await member._clock.sample_once()  # type: ignore[attr-defined]
        seen: list[tuple[str, bool]] = []
        member.on_lost = lambda: seen.append((member.incarnation, member.may_answer()))
        await member.start()
        del tables.hosts["h", "h0"]
        await _run(time, 3)
        assert seen == [("", False)]
        assert list(tables.hosts) == [("h", "h1")]
        assert member.incarnation == "h1"
        assert member.may_answer()
        await member.stop()
        assert not tables.hosts

    run_virtual(scenario())


def test_who_could_not_renew_buries_nobody_until_one_ttl_after_its_first_success() -> None:
    async def scenario() -> None:
        time, tables = Time(), ClusterTables()
        member, dead = _member(time, tables), _member(time, tables, "dead")
        for each in (dead, member):
            await each._clock.sample_once()  # type: ignore[attr-defined]
            await each.start()
        await _run(time, 6)
        dead.abandon()
        member._store.seams = Seams(before=_unavailable)  # type: ignore[attr-defined]
        await _run(time, 8)
        member._store.seams = Seams()  # type: ignore[attr-defined]
        back_ms = time.true_ms
        while ("dead", "dead0") in tables.hosts:
            await _run(time, 0.05)
        assert 6_000 <= time.true_ms - back_ms <= 10_000
        await member.stop()

    run_virtual(scenario())


async def _unavailable(_call: str) -> None:
    raise StoreUnavailable("down")
