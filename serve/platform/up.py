"""`up`: one platform in this process, from the first step to the last."""

import logging
import os
import time
from collections.abc import Callable, Sequence

import msgspec

from cluster.logs import json_formatter
from persistence.settings import CODE_VERSION
from serve.platform import database, state
from serve.platform.address import check_address
from serve.platform.errors import UserError
from serve.platform.folder import DataFolder
from serve.platform.processes import start_mark
from serve.platform.report import Report
from serve.platform.run import Run, Step
from serve.platform.settings import read_settings
from serve.platform.signals import Interrupted, stop_signals
from serve.platform.state import PlatformState, base_url
from serve.platform.steps import UpOptions, platform_steps, sweep_leftovers

_LOG = logging.getLogger(__name__)

MakeSteps = Callable[[DataFolder, UpOptions, Report], Sequence[Step]]


def up(
    options: UpOptions,
    report: Report,
    on_ready: Callable[[PlatformState], None],
    make_steps: MakeSteps = platform_steps,
) -> None:
    """Start a platform, call `on_ready`, run until a signal, stop it.

    Returns after an orderly stop, also when a signal came during the start. Raises `UserError` if it cannot be
    started or a part did not stop as it should. Nothing of it runs when this has returned or raised.
    """
    folder = DataFolder(options.data_dir)
    folder.make()
    _log_into(folder)
    with folder.held(_busy(folder)):
        sweep_leftovers(folder)
        check_address(options.host, options.port)
        now = _first_state(options, docs_served=read_settings().docs_served)
        state.write(folder, now)
        try:
            _run(folder, options, report, on_ready, make_steps, now)
        finally:
            sweep_leftovers(folder)
            state.clear(folder)


def _run(
    folder: DataFolder,
    options: UpOptions,
    report: Report,
    on_ready: Callable[[PlatformState], None],
    make_steps: MakeSteps,
    now: PlatformState,
) -> None:
    run = Run(make_steps(folder, options, report), report)
    clean, broken = True, None
    with stop_signals() as signals:
        try:
            run.start()
            now = msgspec.structs.replace(now, phase="ready")
            state.write(folder, now)
            report.ready()
            on_ready(now)
            broken = signals.wait(run.fault)
            _LOG.error("%s: the platform stops", broken)
        except Interrupted:
            report.begins("stopping")
        except UserError:
            raise
        except Exception as error:
            # The top of a run: whatever a part throws becomes one line here, and a trace in the log.
            _LOG.exception("the platform could not be started")
            raise UserError(f"the platform could not be started: {_one_line(error)}; see {folder.log_file}") from error
        finally:
            state.write(folder, msgspec.structs.replace(now, phase="stopping"))
            clean = run.stop()
    if broken is not None:
        raise UserError(f"{broken}: the platform was stopped; start it again with: ./stampede up")
    if not clean:
        raise UserError(f"the platform stopped, but not every part in order; see {folder.log_file}")


def _busy(folder: DataFolder) -> str:
    found = state.running(folder)
    where = f" ({found.urls['api']}, process {found.pid})" if found is not None else ""
    return f"a platform runs in {folder.path} already{where}; stop it with: ./stampede down"


def _first_state(options: UpOptions, *, docs_served: bool) -> PlatformState:
    url = base_url(options.host, options.port)
    return PlatformState(
        pid=os.getpid(),
        start_mark=start_mark(os.getpid()) or "",
        host=options.host,
        port=options.port,
        urls={"api": url} | ({"docs": f"{url}/docs"} if docs_served else {}) | {"health": f"{url}/health"},
        version=CODE_VERSION,
        database="external" if database.is_external() else "embedded",
        phase="starting",
        started_at_ms=time.time_ns() // 1_000_000,
    )


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _log_into(folder: DataFolder) -> None:
    handler = logging.FileHandler(folder.log_file)
    handler.setFormatter(json_formatter("up"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each request of ours
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
