"""Where Kafka is, and what its topics are made with."""

import re
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_SERVER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+):[0-9]{1,5}")


class KafkaSettings(BaseSettings):
    """Kafka. Without `KAFKA_BOOTSTRAP_SERVERS` there is none, and nothing here counts."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, populate_by_name=True, hide_input_in_errors=True)

    kafka_bootstrap_servers: str | None = Field(
        default=None, description="Kafka brokers, `host:port,host:port`; without them events stay inside the platform."
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="How to speak to Kafka."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="PLAIN", description="With a SASL protocol."
    )
    kafka_sasl_username: str | None = Field(default=None, description="With a SASL protocol.")
    kafka_sasl_password: SecretStr | None = Field(default=None, description="With a SASL protocol.")
    kafka_ca_file: str | None = Field(
        default=None, description="Certificates that vouch for Kafka's; without it those of the machine."
    )
    kafka_partitions: int = Field(
        default=12,
        ge=1,
        le=1_000,
        validation_alias="STAMPEDE_KAFKA_PARTITIONS",
        description="Of a topic that the platform makes. Never raise it later by hand: keys would move.",
    )
    kafka_replication_factor: int = Field(
        default=0,
        ge=0,
        le=32,
        validation_alias="STAMPEDE_KAFKA_REPLICATION_FACTOR",
        description="Of a topic that the platform makes; 0: three, or as many as there are brokers.",
    )
    kafka_message_bytes_max: int = Field(
        default=900_000,
        ge=10_000,
        le=50_000_000,
        validation_alias="STAMPEDE_KAFKA_MESSAGE_BYTES_MAX",
        description="A larger message is published without its data. Below the broker's own limit (1 MiB).",
    )
    kafka_request_timeout_ms: int = Field(
        default=10_000,
        ge=100,
        validation_alias="STAMPEDE_KAFKA_REQUEST_TIMEOUT_MS",
        description="A batch that the broker has not acknowledged until then is sent again by a new producer.",
    )

    @model_validator(mode="after")
    def _check_kafka(self) -> Self:
        servers = self.kafka_bootstrap_servers
        if servers is not None and not all(_SERVER.fullmatch(one.strip()) for one in servers.split(",")):
            raise ValueError("KAFKA_BOOTSTRAP_SERVERS has to be host:port, or several with commas between them")
        if self.kafka_security_protocol.startswith("SASL") and not (
            self.kafka_sasl_username and self.kafka_sasl_password
        ):
            raise ValueError("a SASL protocol needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD")
        return self
