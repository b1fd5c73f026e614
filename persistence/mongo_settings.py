"""Where the catalog is, if not in PostgreSQL."""

from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from persistence.mongo_url import parse_mongo_url


class MongoSettings(BaseSettings):
    """MongoDB, for whoever has one."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, populate_by_name=True, hide_input_in_errors=True)

    mongo_url: SecretStr | None = Field(
        default=None,
        description="Catalog, `mongodb://user:password@host:port/database`; without it the catalog is in PostgreSQL.",
    )

    @model_validator(mode="after")
    def _check_mongo(self) -> Self:
        if self.mongo_url is not None:
            parse_mongo_url(self.mongo_url.get_secret_value())
        return self
