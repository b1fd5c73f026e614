"""What the supervisor does about missing, lost and doubled hosts."""

from cluster.settings import ClusterSettings
from cluster.supervision import Action, HostName, KillHost, Memory, ReportExit, StartHost, decide, hosts_wanted
from persistence.records import HostRow

SETTINGS = ClusterSettings()


def row(actor_name: str) -> HostRow:
    name = HostName.parse(actor_name)
    assert name is not None
    return HostRow(
        host=name.host,
        incarnation=name.incarnation,
        node=name.node,
        actor_name=actor_name,
        weight=1,
        renewed_at_ms=0,
        expires_at_ms=0,
    )


class Cluster:
    def __init__(self, cores: int = 2) -> None:
        self.memory = Memory()
        self.nodes = {"n1": cores}

    def look(self, now_ms: int, names: list[str], rows: list[str]) -> list[Action]:
        host_rows = [row(name) for name in rows]
        self.memory.observe(names, host_rows, now_ms)
        actions = decide(self.nodes, names, host_rows, self.memory, SETTINGS, now_ms)
        for action in actions:
            self.memory.note(action, now_ms)
        return actions


def test_a_node_gets_a_host_for_each_core_but_one() -> None:
    assert [hosts_wanted(cores, SETTINGS) for cores in (1, 2, 4)] == [1, 1, 3]
    assert hosts_wanted(8, ClusterSettings(hosts_per_node=2)) == 2
    assert Cluster(cores=4).look(0, [], []) == [StartHost("n1", 0), StartHost("n1", 1), StartHost("n1", 2)]


def test_a_starting_host_is_waited_for_and_a_failed_start_is_not_repeated_at_once() -> None:
    cluster = Cluster()
    assert cluster.look(0, [], []) == [StartHost("n1", 0)]
    assert cluster.look(500, [], []) == []
    assert cluster.look(1_000, ["host-n1-0-a"], []) == []
    assert cluster.look(50_000, ["host-n1-0-a"], []) == []
    assert cluster.look(60_000, [], []) == [StartHost("n1", 0)]


def test_a_dead_actor_is_reported_and_replaced() -> None:
    cluster = Cluster()
    assert cluster.look(0, ["host-n1-0-a"], ["host-n1-0-a"]) == []
    assert cluster.look(100, [], ["host-n1-0-a"]) == [ReportExit(row("host-n1-0-a")), StartHost("n1", 0)]


def test_nothing_is_reported_of_a_node_that_does_not_live() -> None:
    cluster = Cluster()
    cluster.nodes = {}
    assert cluster.look(0, [], ["host-n1-0-a"]) == []


def test_a_buried_host_may_rejoin_then_is_replaced_and_killed_only_when_old_enough() -> None:
    cluster = Cluster()
    old, new = "host-n1-0-a", "host-n1-0-b"
    cluster.look(0, [old], [old])
    assert cluster.look(4_000, [old], []) == []
    assert cluster.look(6_000, [old], []) == [StartHost("n1", 0)]
    assert cluster.look(20_000, [old, new], [new]) == []
    assert cluster.look(60_000, [old, new], [new]) == [KillHost(old)]


def test_of_two_incarnations_in_one_place_the_newer_stays() -> None:
    cluster = Cluster()
    both = ["host-n1-0-a", "host-n1-0-b"]
    assert cluster.look(0, both, both) == []
    assert cluster.look(60_000, both, both) == [KillHost("host-n1-0-a")]


def test_a_restarted_supervisor_kills_nobody_it_has_just_met() -> None:
    assert Cluster().look(10**9, ["host-n1-0-a"], []) == []


def test_other_actors_are_none_of_its_business() -> None:
    assert HostName.parse("supervisor") is None
    assert Cluster().look(0, ["supervisor", "host-n1-0-a"], ["host-n1-0-a"]) == []
