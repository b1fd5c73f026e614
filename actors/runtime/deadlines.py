"""A wheel of deadlines for commands that wait: no timer handle and no task per command."""

from actors.runtime.delivery import NO_BUCKET, Delivery


class DeadlineWheel:
    """Deliveries by the time at which they must be looked at, in buckets of `width_ms`.

    A delivery is in at most one bucket; taking it out is O(1), so answered ones do not linger until their time.
    """

    __slots__ = ("_buckets", "_width_ms")

    def __init__(self, width_ms: int) -> None:
        self._width_ms = width_ms
        self._buckets: dict[int, dict[Delivery, None]] = {}

    def add(self, delivery: Delivery, at_ms: int) -> None:
        """Look at it at `at_ms`, at most `width_ms` earlier."""
        self.remove(delivery)
        delivery.bucket = at_ms // self._width_ms
        self._buckets.setdefault(delivery.bucket, {})[delivery] = None

    def remove(self, delivery: Delivery) -> None:
        """Forget it, if it is here."""
        if delivery.bucket == NO_BUCKET:
            return
        bucket = self._buckets.get(delivery.bucket)
        if bucket is not None:
            bucket.pop(delivery, None)
            if not bucket:
                del self._buckets[delivery.bucket]
        delivery.bucket = NO_BUCKET

    def due(self, now_ms: int) -> list[Delivery]:
        """Take out all whose time has come, oldest bucket first."""
        reached = now_ms // self._width_ms
        found: list[Delivery] = []
        for bucket in sorted(bucket for bucket in self._buckets if bucket <= reached):
            found.extend(self._buckets.pop(bucket))
        for delivery in found:
            delivery.bucket = NO_BUCKET
        return found
