"""`events tail`, `events replay` and `events check`."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec
from pydantic import ValidationError

from actors.audit.published import Published, check_published
from actors.audit.report import SHOWN_MAX
from actors.events.cloud_events import message_of
from actors.events.facts import DEAD_LETTERS, ENTITIES, TOPICS
from actors.kafka_bridge import NAME, TOPIC_SPECS
from persistence.errors import StoreError
from persistence.kafka_settings import KafkaSettings
from persistence.ports import EventBroker, EventPublisher
from persistence.records import JournalService, ReceivedMessage
from persistence.settings import StoreSettings
from persistence.stores import Stores, open_events, open_stores
from serve.platform.errors import UserError
from serve.settings import setting_faults

PAGE_EVENTS_MAX: Final = 500

JOURNAL_OF: Final[dict[str, JournalService]] = {
    ENTITIES["order"].topic: "orders",
    ENTITIES["payment"].topic: "payments",
    ENTITIES["sku"].topic: "inventory",
}


def tail(topic: str | None, *, from_start: bool, until_end: bool) -> None:
    """Print a topic's messages, or all topics', until Ctrl-C. Raises `UserError`."""
    topics = TOPICS if topic is None else (topic,)
    if unknown := {one.removesuffix(DEAD_LETTERS) for one in topics} - set(TOPICS):
        raise UserError(
            f"there is no topic {unknown.pop()}; there are {', '.join(TOPICS)}, and each with {DEAD_LETTERS}"
        )
    try:
        settings = KafkaSettings()
    except ValidationError as error:
        raise UserError(f"a setting is wrong: {setting_faults(error, KafkaSettings)}") from None
    broker = _broker(settings)
    with suppress(KeyboardInterrupt):
        try:
            asyncio.run(_print(broker, topics, from_start=from_start, until_end=until_end))
        except StoreError as error:
            raise UserError(str(error)) from error


def replay(settings: StoreSettings, topic: str, first_seq: int, shard: int | None) -> None:
    """Publish again, and say how much. Raises `UserError`."""
    if topic not in TOPICS:
        raise UserError(f"there is no topic {topic}; there are {', '.join(TOPICS)}")
    service = JOURNAL_OF.get(topic)
    if service is None:
        raise UserError(
            f"{topic} cannot be published again: its events have no journal, and are gone from the platform once they"
            f" are published (only {', '.join(JOURNAL_OF)} can)"
        )
    broker = _broker(settings)
    try:
        count = asyncio.run(_replay(settings, broker, service, first_seq, shard))
    except StoreError as error:
        raise UserError(f"not everything was published again: {error}") from error
    print(f"published {count:,} events of the {service} journal again to {topic}")  # noqa: T201


def check(settings: StoreSettings) -> int:
    """Compare the journals with their topics and print what came of it; 1 if something is wrong. Raises `UserError`."""
    broker = _broker(settings)
    try:
        found = asyncio.run(_check(settings, broker))
    except StoreError as error:
        raise UserError(f"the topics could not be compared: {error}") from error
    for breach in found.findings.breaches[:SHOWN_MAX]:
        print(f"{breach.invariant} {breach.subject}: {breach.detail}")  # noqa: T201
    said = "complete and in order" if not found.findings.breaches else f"{len(found.findings.breaches):,} faults"
    forgotten = f"; the oldest messages are gone from {', '.join(found.trimmed)}" if found.trimmed else ""
    print(  # noqa: T201
        f"{found.events:,} events published: {said}; {found.repeated:,} repeats, {found.waiting:,} events wait{forgotten}"
    )
    return 1 if found.findings.breaches else 0


async def _check(settings: StoreSettings, broker: EventBroker) -> Published:
    stores = await open_stores(settings)
    try:
        return await check_published(stores, broker)
    finally:
        await stores.close()


async def replay_journal(
    stores: Stores,
    publisher: EventPublisher,
    service: JournalService,
    first_seq: int,
    shard: int | None = None,
    *,
    bytes_max: int,
) -> int:
    """Publish the events of a journal from this seq of each shard on; how many there were. Raises `StoreError`.

    Nothing that the bridge has not published: it would stand before its predecessors.
    """
    await publisher.prepare(TOPIC_SPECS)
    published = await stores.cursors[service].positions(NAME)
    count = 0
    for number, last_seq in sorted(published.items()):
        if shard is not None and number != shard:
            continue
        behind = first_seq - 1
        while behind < last_seq:
            page = await stores.journals[service].read(number, behind, min(PAGE_EVENTS_MAX, last_seq - behind))
            if not page:
                break
            await publisher.publish([message_of(event, bytes_max=bytes_max) for event in page])
            count += len(page)
            behind = page[-1].seq
    return count


async def _replay(
    settings: StoreSettings, broker: EventBroker, service: JournalService, first_seq: int, shard: int | None
) -> int:
    stores, publisher = await open_stores(settings), broker.publisher()
    try:
        return await replay_journal(
            stores, publisher, service, first_seq, shard, bytes_max=settings.kafka_message_bytes_max
        )
    finally:
        await publisher.close()
        await stores.close()


async def _print(broker: EventBroker, topics: Sequence[str], *, from_start: bool, until_end: bool) -> None:
    async for message in broker.read(topics, from_start=from_start, until_end=until_end):
        sys.stdout.write(_line(message) + "\n")
        sys.stdout.flush()


def _line(message: ReceivedMessage) -> str:
    """The message's JSON on one line; what is none, as a string of it, with the reason if it is a dead letter."""
    with suppress(msgspec.MsgspecError, UnicodeDecodeError):
        if not message.topic.endswith(DEAD_LETTERS):
            return msgspec.json.encode(msgspec.json.decode(message.value or b"null")).decode()
    dead = {
        "topic": message.topic,
        "offset": message.offset,
        "headers": {name: value.decode(errors="replace") for name, value in message.headers},
        "value": (message.value or b"").decode(errors="replace"),
    }
    return msgspec.json.encode(dead).decode()


def _broker(settings: KafkaSettings) -> EventBroker:
    broker = open_events(settings)
    if broker is None:
        raise UserError("there is no Kafka: KAFKA_BOOTSTRAP_SERVERS is not set, so events stay inside the platform")
    return broker
