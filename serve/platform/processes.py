"""Which process is which: identity beyond the pid."""

import time
from pathlib import Path

import psutil

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_POLL_S = 0.05


def start_mark(pid: int) -> str | None:
    """What tells this process from a later one with the same pid; None if there is no such process.

    On Linux the boot's id and the ticks since boot: unlike a time of day they stay the same when the clock is set.
    """
    if _BOOT_ID.exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            boot = _BOOT_ID.read_text().strip()
        except OSError:
            return None
        return None if fields[0] == "Z" else f"{boot}:{fields[19]}"
    try:
        return f"{psutil.Process(pid).create_time():.2f}"
    except psutil.NoSuchProcess:
        return None


def wait_gone(pid: int, mark: str, timeout_s: float) -> bool:
    """Wait for the end of a process that need not be our child. False if it is still there."""
    deadline = time.monotonic() + timeout_s
    while start_mark(pid) == mark:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
