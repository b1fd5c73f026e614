"""Bugs that the simulation plants, each to be found by an invariant. All off in any real system."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedBugs:
    """Each name is what the runtime then does wrong; each is one `if` where it is read."""

    dedup_off: bool = False
    """A resend of a message that is in flight is decided again instead of sharing its answer."""
    answer_before_commit: bool = False
    """Answers leave when decided, not when durable."""
    effect_before_commit: bool = False
    """Sagas act on uncommitted state, and on answers that are not durable."""
    snapshot_uncommitted: bool = False
    """Snapshots hold events that are not in the journal yet."""
    timer_lost: bool = False
    """A due time is kept in memory only."""
    low_water_too_far: bool = False
    """The low-water mark passes sagas that are in flight."""

    def early(self, *, local: bool) -> bool:
        """Whether an answer leaves before the commit; `local`: to a saga of this host."""
        return self.answer_before_commit or (self.effect_before_commit and local)


NO_BUGS = PlantedBugs()
