"""`events tail` and `events replay`: what they print, publish and refuse."""

import msgspec
import pytest
from typer.testing import CliRunner

from actors.events.cloud_events import message_of, read
from actors.kafka_bridge import NAME, TOPIC_SPECS
from persistence.memory.events import MemoryBroker
from persistence.records import EventMessage
from persistence.settings import StoreSettings
from persistence.stores import open_memory_stores
from serve import event_commands
from serve.cli import app
from serve.platform.errors import UserError
from tests.contract.builders import batch, event


@pytest.fixture
async def broker(monkeypatch: pytest.MonkeyPatch) -> MemoryBroker:
    broker = MemoryBroker()
    await broker.publisher().prepare(TOPIC_SPECS)
    monkeypatch.setattr(event_commands, "open_events", lambda _settings: broker)
    return broker


def tailed(*arguments: str) -> list[dict[str, object]]:
    result = CliRunner().invoke(app, ["events", "tail", *arguments, "--from-start", "--until-end"])
    assert result.exit_code == 0, result.output
    return [msgspec.json.decode(line) for line in result.stdout.splitlines()]


def test_tail_prints_a_document_a_line_of_one_topic_or_of_all(broker: MemoryBroker) -> None:
    broker.write([message_of(event("ord_1", n), bytes_max=10**6) for n in (1, 2)])
    broker.write([message_of(event("sku", 1, entity_type="sku"), bytes_max=10**6)])
    assert [one["sequence"] for one in tailed("order-events")] == ["1", "2"]
    assert len(tailed()) == 3


def test_tail_prints_what_is_no_json_as_text_and_a_dead_letter_with_its_reason(broker: MemoryBroker) -> None:
    broker.topics["order-events.dlq"] = [[] for _ in range(4)]
    poison = EventMessage(topic="order-events", key="k", value=b"\xff\n", headers=(("stampede-reason", b"none"),))
    broker.write([poison, msgspec.structs.replace(poison, topic="order-events.dlq")])
    assert tailed("order-events")[0]["value"] == "\ufffd\n"
    assert tailed("order-events.dlq")[0]["headers"] == {"stampede-reason": "none"}


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["events", *arguments])
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


@pytest.mark.parametrize("topic", ["planet-events", "order-events.dlq.dlq"])
def test_another_topic_is_refused_with_those_that_there_are(topic: str) -> None:
    assert "order-events" in refused("tail", topic)


def test_without_a_kafka_it_says_which_setting_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    assert "KAFKA_BOOTSTRAP_SERVERS" in refused("tail")


def test_a_setting_that_is_wrong_is_one_line_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "http://nowhere")
    assert "KAFKA_BOOTSTRAP_SERVERS" in refused("tail")


@pytest.mark.parametrize("topic", ["cart-events", "catalog-events", "user-events", "notification-events"])
def test_what_has_no_journal_cannot_be_published_again_and_that_is_said(topic: str) -> None:
    with pytest.raises(UserError, match="no journal"):
        event_commands.replay(StoreSettings.of("postgresql://x/y"), topic, 1, None)


async def test_a_replay_begins_at_the_seq_of_each_shard_and_ends_where_the_bridge_is(broker: MemoryBroker) -> None:
    stores = open_memory_stores(lambda: 0)
    journal, cursors = stores.journals["orders"], stores.cursors["orders"]
    for shard in (1, 2, 3):
        await journal.fence(shard, 1)
        await journal.append([batch(shard, seq=0, events=700)])
    epoch, _ = await cursors.take(NAME)
    assert await cursors.advance(NAME, epoch, {1: 650, 2: 3})
    count = await event_commands.replay_journal(stores, broker.publisher(), "orders", 3, bytes_max=10**6)
    assert count == 648 + 1
    found: dict[str, list[int]] = {}
    for value in broker.values("order-events"):
        one = read(value)
        assert one is not None
        found.setdefault(one.entity_id, []).append(one.sequence)
    assert found == {"ord_1": list(range(3, 651)), "ord_2": [3]}
    assert await event_commands.replay_journal(stores, broker.publisher(), "orders", 1, 2, bytes_max=10**6) == 3
