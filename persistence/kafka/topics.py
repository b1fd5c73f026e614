"""Makes topics, and looks at the code of every answer: the driver's admin client raises nothing."""

from collections.abc import Sequence

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, NoError, TopicAlreadyExistsError, for_code

from persistence.errors import WriteRefused
from persistence.kafka.connections import fault, options
from persistence.kafka_settings import KafkaSettings
from persistence.records import TopicSpec

_COPIES_MAX = 3


async def make_topics(settings: KafkaSettings, topics: Sequence[TopicSpec]) -> None:
    """Make those that are missing; what is there stays as it is. Raises `StoreUnavailable`, `WriteRefused`."""
    admin = AIOKafkaAdminClient(**options(settings))
    try:
        await admin.start()
        there = set(await admin.list_topics())
        copies = settings.kafka_replication_factor or min(_COPIES_MAX, len((await admin.describe_cluster())["brokers"]))
        missing = [_new(topic, settings, copies) for topic in topics if topic.name not in there]
        answer = await admin.create_topics(missing) if missing else None
    except (KafkaError, OSError) as error:
        raise fault(error, "its topics cannot be made") from error
    finally:
        await admin.close()
    for name, code, *_ in answer.topic_errors if answer is not None else ():
        kind = for_code(code)
        if kind in {NoError, TopicAlreadyExistsError}:  # another process was faster
            continue
        raise fault(kind(), f"topic {name} cannot be made")


def _new(topic: TopicSpec, settings: KafkaSettings, copies: int) -> NewTopic:
    limit = settings.kafka_message_bytes_max + 65_536
    configured = {"cleanup.policy": "compact"} if topic.compacted else {}
    if limit > 1_048_576:
        configured["max.message.bytes"] = str(limit)
    return NewTopic(
        topic.name,
        num_partitions=settings.kafka_partitions,
        replication_factor=copies,
        topic_configs=configured,
    )


def refuse_nameless(topics: Sequence[str]) -> None:
    """Raises `WriteRefused` for an empty list: a client without topics waits for ever."""
    if not topics:
        raise WriteRefused("no topic is named")
