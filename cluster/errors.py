"""Faults between a caller and an entity. Refusals are replies; these are exceptions.

The question that matters to a caller is whether the command may have run: `may_have_run` answers it.
"""


class ClusterError(Exception):
    """Base of all faults of delivery."""

    may_have_run = False
    code = "unavailable"


class Overloaded(ClusterError):
    """A mailbox, queue or permit limit was reached before anything ran. Retry later."""

    code = "overloaded"


class NotMine(ClusterError):
    """The asked host does not own the shard; `owner` is who it believes does (None: unknown)."""

    code = "not-mine"

    def __init__(self, shard: int, owner: str | None = None) -> None:
        super().__init__(f"shard {shard} is owned by {owner}")
        self.shard = shard
        self.owner = owner


class DeadlineExceeded(ClusterError):
    """The envelope's `not_after` passed before it ran. Definite: it will never run."""

    code = "deadline-exceeded"


class OutcomeUnknown(ClusterError):
    """The command may have run, or may yet. Resend the same envelope, or ask for the state."""

    may_have_run = True
    code = "outcome-unknown"


class HostUnreachable(OutcomeUnknown):
    """The call to the host failed; whatever was outstanding there is unknown."""


class LeaseLost(ClusterError):
    """The host can no longer prove that it is the owner; it must not answer from memory."""

    code = "lease-lost"
