"""Where the stores are, and how long a statement may take. Read once, by the process's entry point."""

from typing import Literal, Self, get_args

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from persistence.kafka_settings import KafkaSettings
from persistence.mongo_settings import MongoSettings
from persistence.opensearch_settings import OpenSearchSettings
from persistence.redis_settings import RedisSettings
from persistence.smtp_url import parse_sender, parse_smtp_url

Schema = Literal["cluster", "orders", "inventory", "payments", "users", "catalog", "carts", "gateway"]
SCHEMAS: tuple[Schema, ...] = get_args(Schema)

CODE_VERSION = "0.1.0"
"""The version of this code that a schema's `min_code_version` is held against."""


class MailSettings(BaseSettings):
    """Where mail goes, and whom it is from."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, populate_by_name=True, hide_input_in_errors=True)

    smtp_url: SecretStr | None = Field(
        default=None,
        description="Mail server, `smtp://user:password@host:port` or `smtps://…`; without it mail is kept.",
    )
    mail_from: str = Field(
        default="Stampede <no-reply@stampede.local>",
        validation_alias="STAMPEDE_MAIL_FROM",
        description="Sender of mail: `Shop <shop@example.com>`.",
    )

    @model_validator(mode="after")
    def _check_mail(self) -> Self:
        parse_sender(self.mail_from)
        if self.smtp_url is not None:
            parse_smtp_url(self.smtp_url.get_secret_value())
        return self


class StoreSettings(MailSettings, KafkaSettings, RedisSettings, OpenSearchSettings, MongoSettings):
    """One PostgreSQL URL for everything, and one a service for whoever keeps them apart. Times in ms.

    `StoreSettings()` reads the environment; it raises `pydantic.ValidationError` without a `DATABASE_URL`.
    """

    # The dots mean required; written as a default, for the environment usually gives it.
    database_url: SecretStr = Field(default=..., description="Used by every schema that has no URL of its own.")
    cluster_database_url: SecretStr | None = Field(default=None, description="Membership, ownership and the clock.")
    orders_database_url: SecretStr | None = Field(default=None, description="Journal and state rows of orders.")
    inventory_database_url: SecretStr | None = Field(
        default=None, description="Journal, snapshots and stock view of SKUs."
    )
    payments_database_url: SecretStr | None = Field(default=None, description="Journal and state rows of payments.")
    users_database_url: SecretStr | None = Field(default=None, description="Accounts and refresh tokens.")
    catalog_database_url: SecretStr | None = Field(default=None, description="Products, categories and price versions.")
    carts_database_url: SecretStr | None = Field(default=None, description="Carts.")
    gateway_database_url: SecretStr | None = Field(default=None, description="The payment gateway's ledger.")

    pool_connections_max: int = Field(
        default=8,
        ge=1,
        le=100,
        validation_alias="STAMPEDE_STORES_POOL_CONNECTIONS_MAX",
        description="A process and URL.",
    )
    connect_timeout_ms: int = Field(
        default=1_000,
        ge=1,
        validation_alias="STAMPEDE_STORES_CONNECT_TIMEOUT_MS",
        description="Also the wait for a free one.",
    )
    lock_timeout_ms: int = Field(
        default=200, ge=1, validation_alias="STAMPEDE_STORES_LOCK_TIMEOUT_MS", description="Longest wait for a row."
    )
    statement_timeout_ms: int = Field(
        default=2_000,
        ge=1,
        validation_alias="STAMPEDE_STORES_STATEMENT_TIMEOUT_MS",
        description="The server ends it then.",
    )
    answer_timeout_ms: int = Field(
        default=3_000,
        ge=1,
        validation_alias="STAMPEDE_STORES_ANSWER_TIMEOUT_MS",
        description="No answer until then: the outcome is unknown. Longer than the statement's.",
    )

    @classmethod
    def of(cls, database_url: str, **others: object) -> Self:
        """Settings with these values by field name; the environment gives the rest."""
        return cls.model_validate({"database_url": database_url, **others})

    def url(self, schema: Schema) -> str:
        """The URL of one schema, password included."""
        own: SecretStr | None = getattr(self, f"{schema}_database_url")
        return (own or self.database_url).get_secret_value()
