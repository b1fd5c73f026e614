"""What was refused, for as long as a copy of the refused message may still arrive.

What a command did is recognised by the state; a refusal leaves none. So a copy of a refused message (doubled on the way,
or resent and overtaken) would be decided afresh, and might do what its client was told is not done.
"""

from collections import OrderedDict
from typing import Any

REFUSALS_MAX = 50_000
"""More within one life of an envelope: the oldest are forgotten."""


class Refusals:
    """Replies by message id, until the message's `not_after`. In memory only: a new owner of the shard knows none."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[int, Any]] = OrderedDict()

    def note(self, message_id: str, not_after_ms: int, reply: Any, latest_ms: int) -> None:
        """Remember that this message was refused with `reply`; `latest_ms` is the latest that the time may be."""
        known = self._known
        known[message_id] = (not_after_ms, reply)
        while len(known) > REFUSALS_MAX or next(iter(known.values()))[0] < latest_ms:
            known.popitem(last=False)
            if not known:
                return

    def of(self, message_id: str) -> Any | None:
        """The reply that this message was refused with; None if it was not, or that is forgotten."""
        known = self._known.get(message_id)
        return None if known is None else known[1]
