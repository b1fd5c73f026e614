"""Who lives, and who owns what."""

from persistence.records.row import Row


class HostRow(Row, frozen=True, kw_only=True):
    """One shard host that is alive: the row is its lease."""

    host: str
    incarnation: str
    node: str
    actor_name: str
    weight: float
    renewed_at_ms: int
    expires_at_ms: int


class ShardRow(Row, frozen=True, kw_only=True):
    """Who owns a shard. `owner` is None only before the first claim."""

    shard: int
    owner: str | None
    incarnation: str | None
    epoch: int
