"""Rate limits: sliding windows in this process, behind a small interface. `shared_rates.py` counts for all replicas."""

import hashlib
from collections import defaultdict
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final, Protocol

KEYS_MAX: Final = 100_000


class RateLimiter(Protocol):
    """Counts what a key does in a window. A key is always counted in windows of the same length."""

    async def hit(self, key: str, limit: int, window_ms: int) -> int:
        """Count one more; 0 if it is within `limit`, else how many ms to wait (and it does not count)."""

    async def reset(self, key: str) -> None:
        """Forget what the key did."""


class SlidingWindows:
    """Two counters a key: this window's, and the last one's weighted by what of it still lies in the past window.

    Guarantees: constant memory a key, at most `KEYS_MAX` keys of one window's length (the longest idle goes first), so
    that requests do not push out what is known of logins; a key that stays idle for two windows starts anew, so nobody
    is locked out for good. Each process counts for itself: with n replicas the limit is up to n times as high.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._tables: defaultdict[int, dict[str, tuple[int, int, int]]] = defaultdict(dict)

    def hit(self, key: str, limit: int, window_ms: int) -> int:
        """Count one more; 0 if it is within `limit`, else how many ms to wait (and it does not count)."""
        window, elapsed_ms = divmod(self._now_ms(), window_ms)
        counts = self._tables[window_ms]
        counted_in, current, last = counts.pop(key, (window, 0, 0))
        if counted_in != window:
            last = current if counted_in == window - 1 else 0
            current = 0
        refused = current * window_ms + last * (window_ms - elapsed_ms) + window_ms > limit * window_ms
        if not refused:
            current += 1
        if len(counts) >= KEYS_MAX:
            del counts[next(iter(counts))]
        counts[key] = (window, current, last)
        return _wait_ms(current, last, limit, window_ms, elapsed_ms) if refused else 0

    def reset(self, key: str) -> None:
        """Forget what the key did."""
        for counts in self._tables.values():
            counts.pop(key, None)


class OwnRates:
    """A `RateLimiter` over windows of this process."""

    def __init__(self, windows: SlidingWindows) -> None:
        self._windows = windows

    async def hit(self, key: str, limit: int, window_ms: int) -> int:
        """As in `RateLimiter`."""
        return self._windows.hit(key, limit, window_ms)

    async def reset(self, key: str) -> None:
        """Forget what the key did."""
        self._windows.reset(key)


class Unlimited:
    """Admits everything: for benchmarks, by an explicit setting."""

    async def hit(self, key: str, limit: int, window_ms: int) -> int:
        """Always 0."""
        del key, limit, window_ms
        return 0

    async def reset(self, key: str) -> None:
        """Nothing to forget."""


def _wait_ms(current: int, last: int, limit: int, window_ms: int, elapsed_ms: int) -> int:
    """When one more fits: in this window as `last` fades, else in the next as `current` does."""
    if current + 1 <= limit and last > 0:
        fits_at_ms = window_ms - (limit - current - 1) * window_ms // last
        return max(1, fits_at_ms - elapsed_ms)
    fades_for_ms = window_ms - (limit - 1) * window_ms // max(1, current)
    return max(1, window_ms - elapsed_ms + fades_for_ms)


@lru_cache(maxsize=10_000)
def address_key(address: str) -> str:
    """The key of a client's address: of IPv6 its /64, for whoever has one address of that has all of them."""
    try:
        found = ip_address(address)
    except ValueError:
        return f"address:{address}"
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return f"address:{found.ipv4_mapped}"
        return f"address:{IPv6Network((found.packed, 64), strict=False).network_address}"
    return f"address:{found}"


def account_key(email_key: str) -> str:
    """The key of an account, also of one that does not exist: short, and without the address in it."""
    return "account:" + hashlib.blake2b(email_key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
