"""Commands without an answer yet.

Parked ones, which wait for what the entity does not have, and those that must read the store before they can be
decided.

    decide ─Parked─► parked ──each commit, saga's end──► decided again ──Decision──► answered
                       │  └──its time nearly over──► `late`, or outcome unknown
                       └──begin──► starts the entity's saga, or joins the running one (or is refused by it)
"""

from typing import TYPE_CHECKING

import structlog

from actors.domain.decision import Context, Parked
from actors.domain.steps import Finished
from actors.runtime.delivery import NO_BUCKET, Delivery
from actors.runtime.lifecycle import ACTIVE, EntityGone
from actors.runtime.recording import remember
from actors.runtime.writes import with_item
from cluster.clock import Interval
from cluster.errors import ClusterError, DeadlineExceeded, OutcomeUnknown, Overloaded
from persistence.errors import StoreError

if TYPE_CHECKING:
    from actors.runtime.entity import Entity
    from actors.runtime.saga_run import SagaRun

log = structlog.get_logger(__name__)


def park(entity: "Entity", delivery: Delivery, parked: Parked, context: Context) -> None:
    """Keep the command; with `begin`, tie it to the entity's saga."""
    host = entity.shard.host
    if parked.begin is not None and delivery.saga is None:
        running, saga = entity.saga, entity.type.saga
        if running is None:
            try:
                delivery.saga = host.sagas.begin(entity, parked.begin, context, delivery.envelope)
            except Overloaded as full:
                delivery.fail(OutcomeUnknown("no saga could begin") if delivery.touched else full)
                return
            except Exception:  # the border to pure code, as in `Entity.decide`
                log.exception("saga.begin_failed", entity=entity.key)
                error = OutcomeUnknown if delivery.touched else ClusterError
                delivery.fail(error("its saga could not begin"))
                return
        else:
            refusal = saga.joins(running.progress, parked.begin) if saga is not None else None
            if refusal is not None:
                entity.reply(delivery, refusal)
                return
            delivery.saga = running
        delivery.touched = True
    entity.parked = with_item(entity.parked, delivery)
    if delivery.bucket == NO_BUCKET:
        host.wheel.add(delivery, delivery.envelope.not_after_ms - host.settings.parked_margin_ms)


def redecide(entity: "Entity", now: Interval) -> None:
    """Decide every parked command again; those that stay parked keep their place and their saga."""
    parked, entity.parked = entity.parked, None
    for delivery in parked or ():
        if not delivery.done:
            entity.decide(delivery, now)


def saga_ended(entity: "Entity", run: "SagaRun", finished: Finished) -> None:
    """Answer those who share this saga's outcome; let the others look again."""
    host = entity.shard.host
    now = host.clock.now()
    parked, entity.parked = entity.parked, None
    for delivery in parked or ():
        if delivery.done:
            continue
        joined = delivery.saga is run
        if joined:
            delivery.saga = None
        # Only a later command is another attempt: the one that just failed would fail again, round and round.
        not_after_ms = delivery.envelope.not_after_ms
        later = not_after_ms > run.origin.not_after_ms
        may_retry = finished.retry and later and now.latest_ms <= not_after_ms - host.settings.parked_margin_ms
        if joined and finished.reply is not None and not may_retry:
            if delivery.wrote:
                remember(entity, delivery, finished.reply, now.earliest_ms)
            entity.reply(delivery, finished.reply)
        elif entity.phase is ACTIVE:
            entity.decide(delivery, now)
        else:  # being read again: it is decided when that is done
            entity.parked = with_item(entity.parked, delivery)


def saga_failed(entity: "Entity", run: "SagaRun") -> None:
    """The saga broke: whoever shares its outcome does not know it."""
    for delivery in list(entity.parked or ()):
        if delivery.saga is run:
            _take_out(entity, delivery)
            delivery.fail(OutcomeUnknown("its saga broke"))


def out_of_time(entity: "Entity", delivery: Delivery) -> None:
    """The wheel says that this command's time is over, or nearly so."""
    if delivery.done:
        return
    if entity.parked is not None and delivery in entity.parked:
        _take_out(entity, delivery)
        reply = entity.type.late(entity.working, delivery.command) if entity.phase is ACTIVE else None
        if reply is None:
            delivery.fail(OutcomeUnknown("no outcome within its time"))
        else:
            entity.reply(delivery, reply)
        return
    for lane in (entity.mailbox, entity.urgent, entity.preloads):
        if lane is not None and delivery in lane:
            lane.remove(delivery)
            delivery.fail(DeadlineExceeded("its time was over before it was decided"))
            return


def _take_out(entity: "Entity", delivery: Delivery) -> None:
    assert entity.parked is not None
    entity.parked.remove(delivery)
    if not entity.parked:
        entity.parked = None


def watch(entity: "Entity", delivery: Delivery) -> None:
    """It waits undecided: it must not wait longer than it may run."""
    host = entity.shard.host
    host.wheel.add(delivery, delivery.envelope.not_after_ms + host.settings.wake_granularity_ms)


def preload_later(entity: "Entity", delivery: Delivery) -> None:
    """It must read the store before it can be decided; it takes its turn."""
    first = entity.preloads is None
    entity.preloads = with_item(entity.preloads, delivery)
    watch(entity, delivery)
    if first:
        entity.shard.host.tasks.spawn(run_preloads(entity), f"preload {entity.id}")


async def run_preloads(entity: "Entity") -> None:
    """Decide the commands that must read the store first, one after the other.

    Each is durable (or failed) before the next one reads, so that no two act on the same reading.
    """
    host, preload = entity.shard.host, entity.type.preload
    assert preload is not None
    try:
        while entity.preloads:
            delivery = entity.preloads[0]
            try:
                command = await preload(delivery.command, entity.id, host.stores)
            except Exception as error:  # the border to the registry's code: its fault fails this command alone
                if not isinstance(error, StoreError):
                    log.exception("entity.preload_failed", entity=entity.key)
                _leave_lane(entity, delivery)
                delivery.fail(ClusterError(f"what the command needs could not be read: {error}"))
                continue
            if not _leave_lane(entity, delivery):
                continue  # its time was over, or the shard stopped
            delivery.command, delivery.preloaded = command, True
            entity.run(delivery, host.clock.now())
            await entity.settled()
    except EntityGone:
        return
    if not entity.preloads:
        entity.preloads = None


def _leave_lane(entity: "Entity", delivery: Delivery) -> bool:
    if entity.preloads is None or delivery not in entity.preloads:
        return False
    entity.preloads.remove(delivery)
    return not delivery.done
