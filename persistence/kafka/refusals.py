"""Whether brokers that seem to be away refuse us in truth: the driver's start-up does not tell one from the other."""

import asyncio
import ssl

from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from persistence.errors import StoreMisconfigured
from persistence.kafka.connections import options
from persistence.kafka_settings import KafkaSettings

_WRONG_PASSWORD = "kafka: it does not accept KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"  # noqa: S105 - no password
_WRONG_MECHANISM = "kafka: it does not take this KAFKA_SASL_MECHANISM"
_UNTRUSTED = "kafka: its certificate is not vouched for: look at KAFKA_CA_FILE and the names in KAFKA_BOOTSTRAP_SERVERS"


async def refusal(settings: KafkaSettings) -> StoreMisconfigured | None:
    """What the first broker that can be reached has against us; None if there is none, or it has nothing."""
    given = options(settings)
    for server in given.pop("bootstrap_servers"):
        host, _, port = server.rpartition(":")
        try:
            async with asyncio.timeout(settings.kafka_request_timeout_ms / 1e3):
                connection = await create_conn(host.strip("[]"), int(port), **given)
        except (AuthenticationFailedError, SaslAuthenticationFailed):
            return StoreMisconfigured(_WRONG_PASSWORD)
        except UnsupportedSaslMechanismError:
            return StoreMisconfigured(_WRONG_MECHANISM)
        except ssl.SSLCertVerificationError:
            return StoreMisconfigured(_UNTRUSTED)
        except (KafkaError, OSError, TimeoutError):
            continue
        connection.close()
        return None
    return None
