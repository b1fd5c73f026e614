"""Ids that never repeat in the cluster and grow with time."""

import secrets
import time


def new_id() -> str:
    """32 hex digits: the time in ns, then chance. Of two ids the greater is (nearly always) the newer."""
    return f"{time.time_ns():016x}{secrets.token_hex(8)}"
