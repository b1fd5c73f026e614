"""Deadlines that travel: set once in database time, judged by every process with its own interval."""

from cluster.clock import Clock

ENVELOPE_LIFE_MAX_MS = 10_000
"""No envelope lives longer: whoever waits this long after a first send knows that no straggler can still act."""


def not_after_ms(clock: Clock, timeout_ms: int) -> int:
    """The `not_after` of an envelope whose caller gives it `timeout_ms` from now (cut to 10 s)."""
    now = clock.now()
    return min(now.latest_ms + timeout_ms, now.earliest_ms + ENVELOPE_LIFE_MAX_MS)


def remaining_ms(clock: Clock, not_after: int) -> int:
    """Milliseconds until the deadline may have passed; 0 once it may have."""
    return max(0, not_after - clock.now().latest_ms)


def too_far(clock: Clock, not_after: int) -> bool:
    """Whether this deadline is further away than any honest sender sets it: such an envelope is refused."""
    return not_after > clock.now().latest_ms + ENVELOPE_LIFE_MAX_MS
