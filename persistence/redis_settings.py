"""Where Redis is, and what it may be."""

from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from persistence.redis_url import parse_redis_url


class RedisSettings(BaseSettings):
    """Redis. Without `REDIS_URL` there is none: carts are in PostgreSQL, and each replica counts rates for itself."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, populate_by_name=True, hide_input_in_errors=True)

    redis_url: SecretStr | None = Field(
        default=None,
        description="Redis for carts and rate limits, `redis://user:password@host:port/0` or `rediss://…`.",
    )
    redis_unsafe_allowed: bool = Field(
        default=False,
        validation_alias="STAMPEDE_REDIS_UNSAFE_ALLOWED",
        description="Let production use a Redis that loses carts: without an append-only file, or evicting.",
    )

    @model_validator(mode="after")
    def _check_redis(self) -> Self:
        if self.redis_url is not None:
            parse_redis_url(self.redis_url.get_secret_value())
        return self
