"""Every bound and interval of the consumers, in one place: `STAMPEDE_CONSUMERS_<NAME>_<UNIT>` in the environment."""

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class ConsumerSettings(BaseSettings):
    """How the consumers' process looks for events, and how patient it is with those who take them in."""

    model_config = SettingsConfigDict(env_prefix="STAMPEDE_CONSUMERS_", frozen=True)

    poll_interval_ms: int = Field(
        default=1_000, gt=0, description="How often a quiet journal or outbox is looked at; also the longest delay."
    )
    busy_poll_interval_ms: int = Field(
        default=200,
        gt=0,
        description="The same right after something came; doubles up to the other while nothing does.",
    )
    page_events_max: int = Field(default=500, gt=0, description="Events of one batch, of all shards together.")
    page_shards_max: int = Field(default=100, gt=0, description="Shards of one batch.")
    handle_timeout_ms: int = Field(
        default=60_000, gt=0, description="A consumer that takes longer over one batch gets it again."
    )
    retry_backoff_min_ms: int = Field(default=200, gt=0, description="Pause after a fault; it doubles.")
    retry_backoff_max_ms: int = Field(default=5_000, gt=0, description="Longest pause after a fault.")
    standing_check_interval_ms: int = Field(
        default=5_000, gt=0, description="How often the process asks whether a newer one was started in its place."
    )

    @model_validator(mode="after")
    def _bounds_fit_together(self) -> "ConsumerSettings":
        if self.page_shards_max > self.page_events_max:
            raise ValueError("each shard of a batch has at least one event: page_shards_max ≤ page_events_max")
        if self.retry_backoff_min_ms > self.retry_backoff_max_ms:
            raise ValueError("retry_backoff_min_ms ≤ retry_backoff_max_ms")
        return self


class JanitorSettings(BaseSettings):
    """What is kept how long: `STAMPEDE_JANITOR_<NAME>_<UNIT>` in the environment."""

    model_config = SettingsConfigDict(env_prefix="STAMPEDE_JANITOR_", frozen=True)

    interval_ms: int = Field(default=300_000, gt=0, description="How often old rows are looked for.")
    answers_kept_days: int = Field(
        default=7, ge=7, description="A keyed request that is repeated within this time gets its first answer again."
    )
    refresh_kept_days: int = Field(default=7, ge=1, description="A refresh token stays in the store after it expired.")
    messages_kept_days: int = Field(
        default=365, ge=2, description="A message to a customer stays, sent or failed, in mailbox and admin list."
    )
    batch_rows_max: int = Field(default=1_000, gt=0, description="Rows of one statement.")
    batch_pause_ms: int = Field(default=100, ge=0, description="Pause between two statements.")
