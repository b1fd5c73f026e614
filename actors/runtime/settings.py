"""Every bound and interval of the entity runtime, in one place: `STAMPEDE_RUNTIME_<NAME>_<UNIT>` in the environment."""

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class RuntimeSettings(BaseSettings):
    """What one shard host may hold, wait for and do at once."""

    model_config = SettingsConfigDict(env_prefix="STAMPEDE_RUNTIME_", frozen=True)

    # mailboxes
    mailbox_commands_max: int = Field(
        default=1_000, gt=0, description="Undecided commands of one entity, parked ones too."
    )
    host_commands_max: int = Field(default=20_000, gt=0, description="Commands without an answer on this host.")
    host_internal_commands_max: int = Field(
        default=40_000, gt=0, description="The same bound for what sagas ask, so that accepted work can still finish."
    )

    # deadlines
    not_after_ahead_max_ms: int = Field(
        default=10_000, gt=0, description="A command that may run later than this is refused."
    )
    not_after_margin_ms: int = Field(default=2_000, ge=0, description="What clocks may differ by.")
    parked_margin_ms: int = Field(
        default=250, ge=0, description="A parked command is answered this long before its end."
    )
    decide_timeout_ms: int = Field(default=10_000, gt=0, description="A saga's command to its own entity.")
    gateway_timeout_ms: int = Field(default=3_000, gt=0)
    ask_timeout_ms: int = Field(default=2_000, gt=0)

    # group commit
    append_events_max: int = Field(default=2_000, gt=0)
    append_bytes_max: int = Field(default=4 * 1_048_576, gt=0)
    append_retry_budget_ms: int = Field(default=1_000, gt=0, description="An unreachable store is tried this long.")
    append_backoff_min_ms: int = Field(default=20, gt=0)
    append_backoff_max_ms: int = Field(default=320, gt=0)

    # activation and recovery
    recovery_permits: int = Field(default=100, gt=0, description="Entities being loaded at once.")
    recovery_scans_max: int = Field(default=8, gt=0, description="Journals being scanned at once.")
    recovery_retry_ms: int = Field(default=200, gt=0)
    load_retry_budget_ms: int = Field(default=1_000, gt=0)
    scan_page_events: int = Field(default=2_000, gt=0)

    # snapshots and passivation
    snapshot_every_events: int = Field(default=5_000, gt=0)
    snapshot_rows_max: int = Field(default=100, gt=0)
    passivate_idle_ms: int = Field(default=120_000, gt=0)
    passivate_sweep_ms: int = Field(default=30_000, gt=0, description="Every shard is swept once in this time.")
    drain_settle_ms: int = Field(default=1_000, gt=0)

    # timers
    wake_granularity_ms: int = Field(default=100, gt=0, le=250)
    wake_retry_ms: int = Field(
        default=1_000, gt=0, description="A wake that finds a saga running comes again after this."
    )
    wakes_per_round_max: int = Field(default=500, gt=0, description="Entities of one shard woken in one round.")

    # sagas
    sagas_running_max: int = Field(default=10_000, gt=0, description="More: the command that wants one is refused.")
    sagas_background_max: int = Field(default=256, gt=0, description="Resumed and woken ones; more wait in line.")
    saga_retry_min_ms: int = Field(default=1_000, gt=0)
    saga_retry_max_ms: int = Field(default=60_000, gt=0)
    saga_steps_max: int = Field(
        default=1_000, gt=0, description="A saga that takes more in one run is taken for a loop."
    )

    @model_validator(mode="after")
    def _bounds_fit_together(self) -> "RuntimeSettings":
        if self.host_internal_commands_max < self.host_commands_max:
            raise ValueError("accepted work must be able to finish: the internal bound is the larger one")
        return self
