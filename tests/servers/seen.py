"""Which servers a test run spoke to, for its summary: nothing passes silently against nothing."""

import pytest

_SEEN = pytest.StashKey[dict[str, str]]()


def tell(config: pytest.Config, server: str, what: str) -> None:
    """Of `server` (such as "redis"): what it was and whether it was the real one, or why what needs it was skipped."""
    config.stash.setdefault(_SEEN, {})[server] = what


def told(config: pytest.Config) -> dict[str, str]:
    """All that was told in this process."""
    return dict(config.stash.get(_SEEN, {}))
