"""Faults as they travel in a `ReplyEnvelope`, and back."""

from cluster.envelope import ReplyEnvelope
from cluster.errors import ClusterError, DeadlineExceeded, LeaseLost, NotMine, OutcomeUnknown, Overloaded

_BY_CODE: dict[str, type[ClusterError]] = {
    error.code: error for error in (ClusterError, Overloaded, DeadlineExceeded, OutcomeUnknown, LeaseLost)
}


def fault_reply(message_id: str, error: ClusterError) -> ReplyEnvelope:
    """The reply that tells the caller of this fault."""
    owner = error.owner if isinstance(error, NotMine) else None
    return ReplyEnvelope(message_id=message_id, kind="error", code=error.code, owner=owner)


def fault_of(reply: ReplyEnvelope, shard: int) -> ClusterError:
    """The fault that a reply of kind `error` tells of. A code we do not know may mean anything: *outcome unknown*."""
    if reply.code == NotMine.code:
        return NotMine(shard, reply.owner)
    return _BY_CODE.get(reply.code, OutcomeUnknown)(f"the host of shard {shard} answered {reply.code!r}")
