"""Every bound and interval of messages to customers: `STAMPEDE_NOTIFICATIONS_<NAME>_<UNIT>` in the environment."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class NotificationSettings(BaseSettings):
    """What messages say who we are, and how patiently they are sent."""

    model_config = SettingsConfigDict(env_prefix="STAMPEDE_NOTIFICATIONS_", frozen=True)

    shop_name: str = Field(
        default="Stampede", min_length=1, max_length=60, description="What the shop is called in every message."
    )
    event_age_max_ms: int = Field(
        default=86_400_000, gt=0, description="Events older than this are no news: nobody is told of them."
    )

    poll_interval_ms: int = Field(default=1_000, gt=0, description="How often the sender looks for what is due.")
    at_once_max: int = Field(default=8, gt=0, le=100, description="Messages being handed over at one time.")
    send_timeout_ms: int = Field(
        default=30_000, gt=0, le=60_000, description="Time one message has to be handed over, connecting included."
    )
    stop_settle_ms: int = Field(
        default=3_000, ge=0, description="Time that messages being handed over have to end, when the sender is stopped."
    )
    retry_backoff_min_ms: int = Field(
        default=5_000,
        gt=0,
        description="First pause before a message is sent again; it doubles, and chance shortens it.",
    )
    retry_backoff_max_ms: int = Field(
        default=900_000, gt=0, description="Longest pause before a message is sent again."
    )
    give_up_after_ms: int = Field(
        default=86_400_000, gt=0, description="A message that was not taken over so long after its event has failed."
    )
