"""What every client of Kafka is opened with; and Kafka's errors as the platform's."""

import logging
import ssl
from typing import Any

from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InvalidConfigurationError,
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    InvalidTopicError,
    KafkaError,
    PolicyViolationError,
    TopicAuthorizationFailedError,
)

from persistence.errors import StoreError, StoreMisconfigured, StoreUnavailable, WriteRefused
from persistence.kafka_settings import KafkaSettings

NAME = "kafka"
_REFUSALS = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InvalidConfigurationError,
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    InvalidTopicError,
    PolicyViolationError,
    TopicAuthorizationFailedError,
)

# It repeats every second that a broker is away; who calls is told by an error, and says so once an attempt.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)


def options(settings: KafkaSettings, *, client_id: str = "stampede") -> dict[str, Any]:
    """Keyword arguments of any client."""
    assert settings.kafka_bootstrap_servers is not None
    security: dict[str, Any] = {"security_protocol": settings.kafka_security_protocol}
    if settings.kafka_security_protocol.endswith("SSL"):
        security["ssl_context"] = ssl.create_default_context(cafile=settings.kafka_ca_file)
    if settings.kafka_security_protocol.startswith("SASL") and settings.kafka_sasl_password is not None:
        security |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": settings.kafka_sasl_password.get_secret_value(),
        }
    return {
        "bootstrap_servers": [server.strip() for server in settings.kafka_bootstrap_servers.split(",")],
        "client_id": client_id,
        "request_timeout_ms": settings.kafka_request_timeout_ms,
        **security,
    }


def fault(error: BaseException, what: str) -> StoreError:
    """One of our errors for this one of the driver, or of the time. It names the kind of fault, and no server."""
    if isinstance(error, _REFUSALS):
        return WriteRefused(f"{NAME}: {what}: {_kind(error)}")
    if isinstance(error, AuthenticationFailedError):
        return StoreMisconfigured(f"{NAME}: {what}: it does not accept KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD")
    return StoreUnavailable(f"{NAME}: {what}: {_kind(error)}")


def _kind(error: BaseException) -> str:
    said = getattr(error, "message", "") if isinstance(error, KafkaError) else ""
    return said or type(error).__name__
