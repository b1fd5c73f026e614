"""The consumers under kills, freezes and doubles at any await; and bugs that these runs must find."""

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from actors.event_sources import JournalSource, OutboxSource
from actors.feeds import Feed
from persistence.memory.journal import MemoryJournal
from persistence.records import NewEvent
from tests.simulation.consumers import ConsumerPlant, ConsumersOutcome, run_consumers

SEEDS = 100
SEEDS_MAX = 40


@pytest.mark.parametrize("seed", range(SEEDS))
def test_everything_takes_effect_in_order_and_no_zombie_puts_anything_behind_it(seed: int) -> None:
    outcome = run_consumers(seed)
    assert outcome.breaches == [], outcome
    assert outcome.events > 60


def test_the_runs_meet_what_they_are_made_for() -> None:
    met: Counter[str] = Counter()
    for seed in range(10):
        outcome = run_consumers(seed)
        met.update(outcome.stats)
        met["repeated"] += outcome.repeated
    assert min(met[what] for what in ("kill", "freeze", "double", "repeated")) >= 20, met


def test_a_seed_is_a_run() -> None:
    assert run_consumers(7) == run_consumers(7)


# --- bugs --------------------------------------------------------------------------------------------


async def _cursor_before_effect(feed: Feed) -> bool:
    if not feed._taken:
        await feed._source.take()
        feed._taken = True
    events = await feed._source.next()
    if not await feed._source.done():
        return False
    await feed._consumer.handle(events)
    return True


async def _passes_over(feed: Feed) -> bool:
    if not feed._taken:
        await feed._source.take()
        feed._taken = True
    events = await feed._source.next()
    with contextlib.suppress(ZeroDivisionError):
        await feed._consumer.handle(events)
    return await feed._source.done()


async def _up_to_the_head(source: JournalSource) -> Sequence[NewEvent]:
    events = await source._tailer.page(source._positions, source._last_shard)
    source._reached = {event.shard: source._tailer._heads[event.shard] for event in events}
    return events


async def _what_came_meanwhile_too(source: OutboxSource) -> bool:
    """Removes the rows that are there now, in place of those that were read."""
    source._ids = [row.id for row in await source._outbox.read(len(source._ids) + 3)]
    return await source._outbox.done(source._epoch, source._ids)


def _newest_first(journal: MemoryJournal, positions: Any, limit: int) -> list[Any]:
    tables = journal.tables.journal
    pages = [tables.get(shard, [])[seq : seq + limit] for shard, seq in positions.items()]
    return [event for page in pages for event in reversed(page)]


PLANTS: dict[str, Callable[[], ConsumerPlant]] = {
    "cursor before effect": lambda: ConsumerPlant(patches=((Feed, "_batch", _cursor_before_effect),)),
    "advance without epoch": lambda: ConsumerPlant(fencing=False),
    "a failed batch is passed over": lambda: ConsumerPlant(patches=((Feed, "_batch", _passes_over),)),
    "the cursor moves up to the head": lambda: ConsumerPlant(patches=((JournalSource, "next", _up_to_the_head),)),
    "rows are removed that were not read": lambda: ConsumerPlant(
        patches=((OutboxSource, "done", _what_came_meanwhile_too),)
    ),
    "a page is out of order": lambda: ConsumerPlant(patches=((MemoryJournal, "_read_behind", _newest_first),)),
}


def search(bug: str) -> ConsumersOutcome | None:
    """The first run in which the bug shows."""
    return next((found for seed in range(SEEDS_MAX) if (found := run_consumers(seed, PLANTS[bug]())).breaches), None)


@pytest.mark.parametrize("bug", PLANTS)
def test_it_finds(bug: str) -> None:
    assert search(bug) is not None, f"{bug}: not found in {SEEDS_MAX} seeds"
