"""`down`: stop the platform of one data folder, and whatever a killed one left behind."""

import os
import signal
import time
from contextlib import suppress

from serve.platform import state
from serve.platform.errors import UserError
from serve.platform.folder import DataFolder
from serve.platform.processes import wait_gone
from serve.platform.steps import sweep_leftovers

_STOP_TIMEOUT_S = 60.0
_KILL_TIMEOUT_S = 10.0
_POLL_S = 0.05


def down(folder: DataFolder, stop_timeout_s: float = _STOP_TIMEOUT_S) -> str:
    """Stop it in order, by force after `stop_timeout_s`; returns what was done, in one line.

    When it returns, no process of this data folder is left; those of other folders are never touched. Nothing to
    stop is no fault. Raises `UserError` if another process holds the folder.
    """
    if not folder.path.is_dir() or not folder.exists():
        return f"nothing runs in {folder.path}"
    found = state.running(folder)
    forced = False
    if found is not None:
        with suppress(ProcessLookupError):
            os.kill(found.pid, signal.SIGTERM)
        if not wait_gone(found.pid, found.start_mark, stop_timeout_s):
            forced = True
            with suppress(ProcessLookupError):
                os.kill(found.pid, signal.SIGKILL)
            wait_gone(found.pid, found.start_mark, _KILL_TIMEOUT_S)
        _await_release(folder)
    with folder.held(f"another command works in {folder.path}; try again"):
        left = sweep_leftovers(folder)
        state.clear(folder)
    if found is None:
        return f"ended {len(left)} leftover processes" if left else f"nothing runs in {folder.path}"
    if forced:
        raise UserError(
            f"the platform did not stop within {stop_timeout_s:.0f} s and was killed; see {folder.log_file}"
        )
    return "stopped"


def _await_release(folder: DataFolder) -> None:
    """A process counts as gone when its first thread has ended; its last one lets go of the folder a moment later."""
    deadline = time.monotonic() + _KILL_TIMEOUT_S
    while folder.is_held() and time.monotonic() < deadline:
        time.sleep(_POLL_S)
