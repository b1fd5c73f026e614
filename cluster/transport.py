"""How bytes reach a host: Ray in production, a dictionary in tests."""

from typing import Protocol

from persistence.records import HostRow


class Transport(Protocol):
    """Carries one exchange to one host."""

    async def exchange(self, host: HostRow, request: bytes) -> bytes:
        """Call the host's exchange server; returns its answer.

        Raises `HostUnreachable` when the call failed or was not answered within the transport's own
        time-out: the host may have received it, and may act on it yet.
        """

    def forget(self, host: HostRow) -> None:
        """Drop what is cached about this host."""
