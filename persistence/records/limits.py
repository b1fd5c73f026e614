"""What is counted for rate limits."""

from persistence.records.row import Row


class RateHit(Row, frozen=True, kw_only=True):
    """Something that a key does. A key is always counted in windows of the same length."""

    key: str
    limit: int
    window_ms: int
