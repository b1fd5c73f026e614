"""Who lives and who owns which shard."""

from typing import Protocol

from persistence.records import HostRow, ShardRow


class Ownership(Protocol):
    """The cluster's rows: who lives, and who owns which shard. Each write is one conditional statement."""

    async def now_ms(self) -> int:
        """The database's clock."""

    async def prepare(self, shard_count: int) -> None:
        """Make the rows of all shards once. Raises `WriteRefused` if another count is recorded."""

    async def join(self, host: HostRow, ttl_ms: int) -> HostRow:
        """Insert this host's row with a lease of `ttl_ms`; a row of the same host and incarnation is replaced."""

    async def renew(self, host: str, incarnation: str, weight: float, ttl_ms: int) -> int | None:
        """Prolong the lease; returns the new `expires_at_ms`, or None if the row is gone (we were buried)."""

    async def leave(self, host: str, incarnation: str) -> None:
        """Delete this host's row (orderly stop)."""

    async def bury(self, host: str, incarnation: str, *, exit_reported: bool) -> bool:
        """Delete another's row if its lease has run out, or its process's exit was reported. True if deleted."""

    async def hosts(self) -> list[HostRow]:
        """All rows, also those whose lease has run out and that nobody buried yet."""

    async def shards(self) -> list[ShardRow]:
        """All shards with their owners."""

    async def claim(self, shard: int, host: str, incarnation: str, at_least_epoch: int = 0) -> int | None:
        """Take a shard that is free, ours, or whose owner has no row in hosts.

        Raises the epoch to max(epoch, at_least_epoch) + 1 and returns it; None if another living host owns it.
        """

    async def hand_off(self, shard: int, host: str, incarnation: str, epoch: int, to: str, to_incarnation: str) -> bool:
        """Give a shard that is ours at exactly this epoch to another. The epoch stays; the receiver claims."""

    async def close(self) -> None:
        """Let go of connections."""
