"""Whether the Kafka that KAFKA_BOOTSTRAP_SERVERS names can be used: asked before anything is started."""

import asyncio
import logging

from persistence.errors import StoreMisconfigured, StoreUnavailable
from persistence.kafka_settings import KafkaSettings
from persistence.stores import open_events
from serve.platform.errors import UserError

_LOG = logging.getLogger(__name__)


def check_kafka(settings: KafkaSettings) -> None:
    """Raises `UserError` if it refuses us. One that is away is waited for by the bridge, not by the start."""
    broker = open_events(settings)
    assert broker is not None
    try:
        asyncio.run(broker.ping())
    except StoreMisconfigured as error:
        raise UserError(f"the Kafka that KAFKA_BOOTSTRAP_SERVERS names cannot be used: {error}") from error
    except (OSError, ValueError) as error:  # a KAFKA_CA_FILE that is not there, or is none
        raise UserError(f"KAFKA_CA_FILE cannot be used: {type(error).__name__}") from error
    except StoreUnavailable as error:
        _LOG.warning("the Kafka that KAFKA_BOOTSTRAP_SERVERS names is away: events wait for it (%s)", error)
