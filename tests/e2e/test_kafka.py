"""The whole platform with a real Kafka: its mails come through it, and kills on both sides lose nothing."""

import signal
from collections.abc import Iterator

import pytest

from tests.live_platform import LivePlatform, send, until
from tests.servers.kafka import KafkaProcess, kafka_process

__all__ = ["kafka_process"]

pytestmark = [pytest.mark.ray, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def with_kafka(kafka_process: KafkaProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[LivePlatform]:
    """A platform of this test's own, with Kafka."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka_process.servers)
    platform = LivePlatform()
    try:
        platform.up()
        yield platform
    finally:
        platform.end()


async def complete(platform: LivePlatform) -> bool:
    """Whether everything is published, in order. Fails if anything is missing from what should be there."""
    done = platform.command("events", "check")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return "complete and in order" in done.stdout and " 0 events wait" in done.stdout


def demo(platform: LivePlatform) -> None:
    """A customer's way through the shop; it waits for the mails, which the notifier writes of what Kafka brings."""
    done = platform.command("demo")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


async def test_everything_is_published_and_told_through_kills_of_both_sides(
    with_kafka: LivePlatform, kafka_process: KafkaProcess
) -> None:
    demo(with_kafka)
    victims = with_kafka.consumers()
    assert len(victims) == 2  # the bridge, and the consumers of its topics
    for victim in victims:
        send(victim, signal.SIGKILL)
    kafka_process.kill()
    kafka_process.start()

    async def are_back() -> bool:
        return len(set(with_kafka.consumers()) - set(victims)) == 2

    await until(are_back, 30, "both processes are back")
    demo(with_kafka)
    await until(lambda: complete(with_kafka), 30, "everything is published")
    with_kafka.audit()
