"""Of what there should be one in the cluster, and what to do when there is none, or two. Pure.

Every start has a name of its own, `one-<singleton>-<incarnation>`: an actor that hangs never stands in its successor's
way. Two at once are harmless, for their stores know by an epoch which of them is the newer; so nothing here has to be
certain, only quick. Who does not answer is replaced; who was replaced stops by itself, or is killed a little later.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from cluster.settings import ClusterSettings

_NAME = re.compile(r"one-(?P<singleton>[^-]+)-(?P<incarnation>[^-]+)")
_START_AGAIN_MS = 3_000


@dataclass(frozen=True, slots=True, order=True)
class SingletonName:
    """The parts of a singleton actor's name; none contains a dash. Of two incarnations the greater is the newer."""

    singleton: str
    incarnation: str

    @property
    def actor_name(self) -> str:
        """The actor's name, unique for ever."""
        return f"one-{self.singleton}-{self.incarnation}"

    @classmethod
    def parse(cls, actor_name: str) -> "SingletonName | None":
        """None for an actor that is no singleton."""
        match = _NAME.fullmatch(actor_name)
        return cls(match["singleton"], match["incarnation"]) if match else None


@dataclass(frozen=True, slots=True)
class StartSingleton:
    """Start one: there is none, or it does not answer."""

    singleton: str


@dataclass(frozen=True, slots=True)
class KillSingleton:
    """End one that was replaced and did not end by itself."""

    actor_name: str


@dataclass(slots=True)
class SingletonMemory:
    """When each actor was first seen, first and last answered, and each singleton last started (ms, steady clock)."""

    first_seen_ms: dict[str, int] = field(default_factory=dict)
    first_answer_ms: dict[str, int] = field(default_factory=dict)
    last_answer_ms: dict[str, int] = field(default_factory=dict)
    started_ms: dict[str, int] = field(default_factory=dict)

    def observe(self, names: Iterable[str], now_ms: int) -> None:
        """Take in which singleton actors exist."""
        present = {name for name in names if SingletonName.parse(name) is not None}
        self.first_seen_ms = {name: self.first_seen_ms.get(name, now_ms) for name in present}
        for answers in (self.first_answer_ms, self.last_answer_ms):
            for name in answers.keys() - present:
                del answers[name]

    def answered(self, actor_name: str, now_ms: int) -> None:
        """Take in that an actor answered."""
        self.first_answer_ms.setdefault(actor_name, now_ms)
        self.last_answer_ms[actor_name] = now_ms

    def note(self, action: StartSingleton | KillSingleton, now_ms: int) -> None:
        """Take in what was done."""
        if isinstance(action, StartSingleton):
            self.started_ms[action.singleton] = now_ms


def next_name(singleton: str, names: Iterable[str], clock_ns: int) -> SingletonName:
    """The name of the next start: newer than all of these actors, whatever the wall clock has done since they began."""
    newest = max((int(other.incarnation, 16) for other in _parsed(names) if other.singleton == singleton), default=0)
    return SingletonName(singleton, f"{max(clock_ns, newest + 1):016x}")


def is_newest(actor_name: str, names: Iterable[str]) -> bool:
    """Whether none of these actors is a newer one of the same singleton."""
    mine = SingletonName.parse(actor_name)
    assert mine is not None, actor_name
    return all(other.singleton != mine.singleton or other <= mine for other in _parsed(names))


def decide_singletons(
    wanted: Iterable[str], names: Iterable[str], memory: SingletonMemory, settings: ClusterSettings, now_ms: int
) -> list[StartSingleton | KillSingleton]:
    """What to do now. `memory` must have observed the same names."""
    actors = _parsed(names)
    actions: list[StartSingleton | KillSingleton] = []
    for singleton in wanted:
        own = [actor.actor_name for actor in actors if actor.singleton == singleton]
        newest = own[-1] if own else None
        if newest is None or not _stands(newest, memory, settings, now_ms):
            started_ms = memory.started_ms.get(singleton)
            if started_ms is None or now_ms - started_ms >= _START_AGAIN_MS:
                actions.append(StartSingleton(singleton))
                # If none ever comes up, no more than the last two processes of it are left standing about.
                actions.extend(KillSingleton(older) for older in own[:-1])
        elif now_ms - memory.first_answer_ms.get(newest, now_ms) >= settings.singleton_retire_ms:
            actions.extend(KillSingleton(older) for older in own[:-1])
    return actions


def _stands(actor_name: str, memory: SingletonMemory, settings: ClusterSettings, now_ms: int) -> bool:
    """Whether it answered lately, or is still starting."""
    last_answer_ms = memory.last_answer_ms.get(actor_name)
    if last_answer_ms is not None:
        return now_ms - last_answer_ms < settings.singleton_silence_max_ms
    return now_ms - memory.first_seen_ms[actor_name] < settings.host_grace_ms


def _parsed(names: Iterable[str]) -> list[SingletonName]:
    return sorted(actor for actor in map(SingletonName.parse, names) if actor is not None)
