"""Attempts: numbers that name one owner's try to place an order, and grow.

An attempt is the `not_after` of a PlaceOrder under the epoch of whoever runs it, the epoch in front. Until an order is
journaled nothing fences its owner: one that was frozen and lost its shard may still reserve and release. Its attempt is
older than that of its successor, even for the same request, so holders do not let it undo what the successor did.
"""

_MS_BITS = 42
"""Enough until 2109; in front of it there is room for two million epochs."""


def attempt_of(not_after_ms: int, epoch: int) -> int:
    """The attempt that ends at `not_after_ms`, made by the owner of `epoch`."""
    return (epoch << _MS_BITS) | not_after_ms


def ends_ms(attempt: int) -> int:
    """When this attempt can no longer become an order."""
    return attempt & ((1 << _MS_BITS) - 1)
