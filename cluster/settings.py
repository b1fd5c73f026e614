"""Every bound and interval of sharding, in one place: `STAMPEDE_CLUSTER_<NAME>_<UNIT>` in the environment."""

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class ClusterSettings(BaseSettings):
    """The defaults keep the promised bounds: process death 5 s with a second host, a frozen host 10 s."""

    model_config = SettingsConfigDict(env_prefix="STAMPEDE_CLUSTER_", frozen=True)

    shard_count: int = Field(default=256, gt=0, description="Shards; recorded in the store, never changed afterwards.")

    # time and leases
    clock_sample_interval_ms: int = Field(default=2_000, gt=0)
    clock_sample_timeout_ms: int = Field(default=1_000, gt=0)
    lease_renew_interval_ms: int = Field(default=2_000, gt=0)
    lease_renew_timeout_ms: int = Field(
        default=1_500, gt=0, description="A renewal without an answer counts as failed."
    )
    lease_ttl_ms: int = Field(default=6_000, gt=0)
    lease_margin_ms: int = Field(
        default=1_500, ge=0, description="Nothing is answered from memory this long before the end."
    )
    bury_after_join_ms: int = Field(
        default=4_000, ge=0, description="A newcomer waits: the others may only now be reaching the store again."
    )

    # ownership
    reconcile_interval_ms: int = Field(default=500, gt=0, description="How often each host compares the shards table.")
    reconcile_spacing_ms: int = Field(
        default=50, gt=0, description="Least distance of two such rounds, however often asked."
    )
    recoveries_max: int = Field(default=8, gt=0, description="Shards being claimed and recovered at once, per host.")
    recovery_retry_ms: int = Field(default=100, gt=0)
    claim_timeout_ms: int = Field(default=3_000, gt=0, description="For one claim or fence; then it is asked again.")
    orphan_patience_ms: int = Field(
        default=1_000, ge=0, description="An orphan meant for another host is left to it this long."
    )
    fence_failing_max_ms: int = Field(default=5_000, gt=0, description="Unable to fence this long: weight 0.")
    fence_failed_rest_ms: int = Field(default=10_000, gt=0, description="Weight stays 0 at least this long.")
    hand_offs_max: int = Field(default=16, gt=0, description="Shards in motion at once, per host.")
    drain_timeout_ms: int = Field(
        default=4_000, gt=0, description="Settle (1 s) and flush; what hangs longer is cut off."
    )
    gate_waiting_max: int = Field(
        default=20_000, gt=0, description="Envelopes held while their shard recovers or moves."
    )

    # delivery
    ask_timeout_ms: int = Field(default=2_000, gt=0, le=10_000)
    region_outstanding_max: int = Field(
        default=20_000, gt=0, description="Envelopes a region waits for; more: Overloaded."
    )
    route_refresh_spacing_ms: int = Field(default=50, gt=0)
    route_refresh_interval_ms: int = Field(default=5_000, gt=0, description="An idle region still learns of moves.")
    route_timeout_ms: int = Field(
        default=1_000, gt=0, description="No readable table, or no lease, this long: give up."
    )
    resend_backoff_min_ms: int = Field(default=20, gt=0)
    resend_backoff_max_ms: int = Field(default=320, gt=0)

    # exchange
    exchange_envelopes_max: int = Field(default=256, gt=0)
    exchange_bytes_max: int = Field(default=1_048_576, gt=0)
    exchange_park_ms: int = Field(default=1_000, gt=0)
    exchange_timeout_ms: int = Field(
        default=3_000, gt=0, description="A call without an answer: the host is unreachable."
    )
    exchange_session_idle_ms: int = Field(default=30_000, gt=0)
    host_outstanding_max: int = Field(
        default=20_000, gt=0, description="Envelopes in work at one host; more: Overloaded."
    )

    # supervisor
    supervise_interval_ms: int = Field(default=500, gt=0)
    hosts_per_node: int = Field(default=0, ge=0, description="0: max(1, cores - 1).")
    host_grace_ms: int = Field(default=60_000, gt=0, description="No host is killed before this age.")
    host_rejoin_ms: int = Field(default=5_000, gt=0, description="A host that lost its row may rejoin this long.")
    singleton_silence_max_ms: int = Field(
        default=10_000, gt=0, description="A singleton (the consumers' process) that does not answer is replaced then."
    )
    singleton_retire_ms: int = Field(
        default=10_000, gt=0, description="A replaced singleton is killed when its successor has worked this long."
    )

    @model_validator(mode="after")
    def _bounds_fit_together(self) -> "ClusterSettings":
        if self.lease_renew_interval_ms + self.lease_renew_timeout_ms > self.lease_ttl_ms - self.lease_margin_ms:
            raise ValueError("a lease must outlive one late renewal: interval + timeout ≤ ttl - margin")
        if self.exchange_park_ms >= self.exchange_timeout_ms:
            raise ValueError("a parked exchange must return before the caller gives up on it")
        return self
