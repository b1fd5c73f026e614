"""`up --detach`: the same `up` in a session of its own, which this process waits for and then lets go."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from serve.platform import state
from serve.platform.errors import UserError
from serve.platform.folder import DataFolder
from serve.platform.report import Report, Told, forward
from serve.platform.state import PlatformState
from serve.platform.steps import UpOptions, wait_ready

REPORT_VARIABLE = "STAMPEDE_REPORT_FD"
_STOP_TIMEOUT_S = 60
_ENTRY = (sys.executable, "-m", "serve.cli")


def up_detached(options: UpOptions, report: Report, entry: Sequence[str] = _ENTRY) -> PlatformState:
    """Start a platform that outlives this process; returns once `/ready` answers.

    It holds nothing of ours: its own session, its output in `logs/platform.log`, and a pipe to us that it closes
    when it is ready. Raises `UserError` with its own line if it fails or dies; it is stopped if we are interrupted.
    """
    folder = DataFolder(options.data_dir)
    folder.make()
    reading, writing = os.pipe()
    with folder.log_file.open("ab") as log:
        child = subprocess.Popen(  # noqa: S603 -- ourselves
            [*entry, *_arguments(options)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            pass_fds=[writing], env={**os.environ, REPORT_VARIABLE: str(writing)}, cwd=_root(),
        )  # fmt: skip
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as pipe:
            told = forward(pipe, report)
        _require_ready(told, child, folder)
        report.ready()
        found = state.require_running(folder)
        wait_ready(found.urls["api"])
    except (KeyboardInterrupt, UserError):
        child.send_signal(signal.SIGTERM)  # does nothing once it has ended
        child.wait(_STOP_TIMEOUT_S)
        raise
    child.returncode = 0  # it outlives us, and nobody here will wait for it
    return found


def _require_ready(told: Told | None, child: subprocess.Popen[bytes], folder: DataFolder) -> None:
    if told is not None and told.what == "ready":
        return
    code = child.wait(_STOP_TIMEOUT_S)
    ended = f"the platform ended with code {code} before it was ready; see {folder.log_file}"
    raise UserError(told.text if told is not None else ended)


def _arguments(options: UpOptions) -> list[str]:
    arguments = ["up", "--data-dir", str(options.data_dir.expanduser().resolve())]
    arguments += ["--host", options.host, "--port", str(options.port)]
    return arguments if options.sample_data else [*arguments, "--no-sample-data"]


def _root() -> Path:
    """Where `-m serve.cli` is found, also when the project is not installed; never the user's folder."""
    return Path(__file__).resolve().parents[2]
