"""One of each singleton: started when there is none, replaced when it is silent, and never two for long."""

import pytest

from cluster.settings import ClusterSettings
from cluster.singletons import (
    KillSingleton,
    SingletonMemory,
    SingletonName,
    StartSingleton,
    decide_singletons,
    is_newest,
    next_name,
)

SETTINGS = ClusterSettings()
A, B = "one-consumers-a", "one-consumers-b"
Actions = list[StartSingleton | KillSingleton]


class Cluster:
    def __init__(self) -> None:
        self.memory = SingletonMemory()

    def look(self, now_ms: int, names: list[str], *, answering: tuple[str, ...] = ()) -> Actions:
        self.memory.observe(names, now_ms)
        for name in answering:
            self.memory.answered(name, now_ms)
        actions = decide_singletons(["consumers"], names, self.memory, SETTINGS, now_ms)
        for action in actions:
            self.memory.note(action, now_ms)
        return actions


START: Actions = [StartSingleton("consumers")]


def test_it_is_started_once_and_waited_for() -> None:
    cluster = Cluster()
    assert cluster.look(0, []) == START
    assert cluster.look(500, []) == []
    assert cluster.look(1_000, [A]) == []
    assert cluster.look(50_000, [A]) == []
    assert cluster.look(50_500, [A], answering=(A,)) == []


def test_a_start_that_came_to_nothing_is_repeated_but_not_at_once() -> None:
    cluster = Cluster()
    assert cluster.look(0, []) == START
    assert cluster.look(2_999, []) == []
    assert cluster.look(3_000, []) == START


def test_one_that_never_comes_up_is_replaced_after_its_grace() -> None:
    cluster = Cluster()
    cluster.look(0, [A])
    assert cluster.look(59_999, [A]) == []
    assert cluster.look(60_000, [A]) == START


def test_one_that_is_gone_is_replaced_at_once() -> None:
    cluster = Cluster()
    cluster.look(0, [A], answering=(A,))
    assert cluster.look(500, []) == START


def test_one_that_is_silent_is_replaced_and_killed_when_its_successor_has_worked_for_a_while() -> None:
    cluster = Cluster()
    cluster.look(0, [A], answering=(A,))
    assert cluster.look(9_999, [A]) == []
    assert cluster.look(10_000, [A]) == START
    assert cluster.look(11_000, [A, B]) == []
    assert cluster.look(14_000, [A, B], answering=(B,)) == []
    assert cluster.look(23_999, [A, B], answering=(B,)) == []
    assert cluster.look(24_000, [A, B], answering=(B,)) == [KillSingleton(A)]
    assert cluster.look(24_500, [B], answering=(B,)) == []


def test_of_those_that_never_come_up_no_more_than_two_stand_about() -> None:
    cluster = Cluster()
    names: list[str] = []
    most = 0
    for now_ms in range(0, 600_000, 500):
        for action in cluster.look(now_ms, list(names)):
            if isinstance(action, KillSingleton):
                names.remove(action.actor_name)
            else:
                names.append(next_name("consumers", names, now_ms).actor_name)
        most = max(most, len(names))
    assert most == 2


def test_the_older_is_left_alone_while_the_newer_has_not_answered() -> None:
    cluster = Cluster()
    assert cluster.look(0, [A, B], answering=(A,)) == []
    assert cluster.look(50_000, [A, B], answering=(A,)) == []


def test_a_supervisor_that_forgot_everything_starts_and_kills_nobody_it_has_just_met() -> None:
    assert Cluster().look(10**9, [A, B]) == []
    assert Cluster().look(10**9, [A, B], answering=(A, B)) == []


def test_what_was_remembered_of_a_name_goes_with_it() -> None:
    cluster = Cluster()
    cluster.look(0, [A], answering=(A,))
    cluster.look(500, [])
    assert (cluster.memory.first_seen_ms, cluster.memory.first_answer_ms, cluster.memory.last_answer_ms) == ({}, {}, {})


@pytest.mark.parametrize("name", ["supervisor", "host-n1-0-a", "one-consumers", "one-a-b-c", ""])
def test_other_actors_are_none_of_its_business(name: str) -> None:
    assert SingletonName.parse(name) is None
    assert Cluster().look(0, [name]) == START


def test_the_greater_incarnation_is_the_newest_of_its_singleton() -> None:
    assert not is_newest(A, [A, B])
    assert is_newest(B, [A, B])
    assert is_newest(A, [A, "one-janitor-c", "host-n1-0-z"])
    assert is_newest(A, [])
    assert SingletonName.parse(SingletonName("consumers", "a").actor_name) == SingletonName("consumers", "a")


def test_a_start_is_newer_than_what_is_there_even_when_the_clock_was_turned_back() -> None:
    first = next_name("consumers", [], 1_000)
    assert first.incarnation == f"{1_000:016x}"
    back = next_name("consumers", [first.actor_name, "one-janitor-ffffffffffffffff", "supervisor"], 400)
    assert back > first
    assert not is_newest(first.actor_name, [first.actor_name, back.actor_name])
    assert next_name("consumers", [first.actor_name], 2_000).incarnation == f"{2_000:016x}"
