"""Where OpenSearch is."""

from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from persistence.opensearch_url import parse_opensearch_url


class OpenSearchSettings(BaseSettings):
    """OpenSearch. Without `OPENSEARCH_URL` the search index is in PostgreSQL."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, populate_by_name=True, hide_input_in_errors=True)

    opensearch_url: SecretStr | None = Field(
        default=None,
        description="Search server, `https://user:password@host:9200`; `?prefix=` names its indexes, `?ca=` a file.",
    )

    @model_validator(mode="after")
    def _check_opensearch(self) -> Self:
        if self.opensearch_url is not None:
            parse_opensearch_url(self.opensearch_url.get_secret_value())
        return self
