"""`logs`: the log files of a platform, the end of each and then, if wanted, what is added."""

import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from serve.node_plan import NodePlan
from serve.platform.folder import DataFolder

_POLL_S = 0.2
_WORKER = re.compile(r"worker-[0-9a-f]+-[0-9a-f]+-(\d+)")
_RAYS_OWN = (":job_id:", ":actor_name:", ":task_name:")
"""Marks that Ray writes into a worker's files for its own use."""


def log_files(folder: DataFolder) -> list[Path]:
    """The platform's own, the database's, and those of the replicas and shard hosts of the node that runs or ran last."""
    files = sorted(folder.logs_dir.glob("*.log"))
    plan = NodePlan.load(folder.run_dir)
    if plan is None:
        files += sorted(folder.node_logs_dir.glob("*"))
    else:
        files += sorted((plan.logs_dir / "serve").glob("*.log"))
        files += sorted(found for found in plan.logs_dir.glob("worker-*") if found.stat().st_size > 0)
    return files


def last_lines(files: list[Path], count: int) -> Iterator[tuple[str, str]]:
    """(name of the file, line) of the last `count` lines of each."""
    for file in files:
        with file.open(errors="replace") as lines:
            for line in deque(filter(_is_told, lines), maxlen=count):
                yield _name(file), line.rstrip("\n")


def follow(folder: DataFolder, goes_on: Callable[[], bool] = lambda: True) -> Iterator[tuple[str, str]]:
    """(name of the file, line) of every line added from now on, in files that appear later too."""
    opened: dict[Path, IO[str]] = {}
    for file in log_files(folder):
        opened[file] = file.open(errors="replace")
        opened[file].seek(0, 2)
    try:
        while goes_on():
            for file in log_files(folder):
                if file not in opened:
                    opened[file] = file.open(errors="replace")
            for file, lines in opened.items():
                yield from ((_name(file), line.rstrip("\n")) for line in lines if _is_told(line))
            time.sleep(_POLL_S)
    finally:
        for lines in opened.values():
            lines.close()


def _name(file: Path) -> str:
    """What stands before each line: of a Ray worker its process id, for the line itself says what the process is."""
    worker = _WORKER.fullmatch(file.stem)
    return f"worker-{worker[1]}" if worker else file.stem


def _is_told(line: str) -> bool:
    return not line.startswith(_RAYS_OWN)
