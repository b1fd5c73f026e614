"""Weighted rendezvous hashing: fair, and moving no shard without a reason."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.allocation import allocate, members
from cluster.hashing import shard_of
from persistence.records import HostRow

NAMES = st.text("abcdefgh0123-", min_size=1, max_size=8)
WEIGHTS = st.dictionaries(NAMES, st.sampled_from([0.0, 0.5, 1.0, 2.0]), max_size=8)


@settings(deadline=None, max_examples=40)
@given(WEIGHTS)
def test_every_shard_has_one_owner_with_weight(weights: dict[str, float]) -> None:
    owners = allocate(weights)
    assert len(owners) == (256 if any(weights.values()) else 0)
    assert all(weights[owner] > 0 for owner in owners.values())


@settings(deadline=None, max_examples=40)
@given(WEIGHTS, NAMES)
def test_a_newcomer_only_takes(weights: dict[str, float], newcomer: str) -> None:
    weights.pop(newcomer, None)
    before, after = allocate(weights), allocate({**weights, newcomer: 1.0})
    assert all(after[shard] in (before.get(shard), newcomer) for shard in after)


@settings(deadline=None, max_examples=40)
@given(WEIGHTS, st.sampled_from([0.0, 0.5, 2.0]))
def test_a_changed_weight_moves_shards_only_to_or_from_that_host(weights: dict[str, float], weight: float) -> None:
    before, after = allocate({**weights, "x": 1.0}), allocate({**weights, "x": weight})
    moved = {shard for shard in after if after[shard] != before[shard]}
    side = before if weight < 1 else after
    assert all(side[shard] == "x" for shard in moved)


def test_shares_are_like_the_weights() -> None:
    shares = Counter(allocate({"a": 1.0, "b": 1.0, "c": 2.0}, 4_096).values())
    assert 0.45 < shares["c"] / 4_096 < 0.55


def test_of_two_processes_in_one_place_the_later_counts_and_of_its_incarnations_too() -> None:
    rows = [
        HostRow(host="h", incarnation=i, node="n", actor_name=name, weight=1, renewed_at_ms=0, expires_at_ms=0)
        for name, i in (("host-h-2", "3"), ("host-h-2", "4"), ("host-h-1", "9"))
    ]
    assert members(rows)["h"].incarnation == "4"


def test_the_shard_of_a_key_never_changes() -> None:
    assert [shard_of(key) for key in ("ord_1", "SKU-1", "usr_1", "é")] == [39, 212, 9, 47]
    assert all(0 <= shard_of(f"k{n}", 16) < 16 for n in range(100))
