"""`run/platform.json`: how the commands find the running platform. Holds no secret."""

from pathlib import Path
from typing import Literal

import msgspec

from serve.platform.errors import UserError
from serve.platform.folder import DataFolder
from serve.platform.processes import start_mark


class PlatformState(msgspec.Struct, frozen=True, kw_only=True):
    """One running platform. `start_mark` tells its process from a later one with the same pid."""

    pid: int
    start_mark: str
    host: str
    port: int
    urls: dict[str, str]
    version: str
    database: Literal["embedded", "external"]
    phase: Literal["starting", "ready", "stopping"]
    started_at_ms: int

    def lives(self) -> bool:
        """Whether its process is still there."""
        return start_mark(self.pid) == self.start_mark


def base_url(host: str, port: int) -> str:
    """Where a client on this machine reaches the platform."""
    reached = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- read, not bound
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def write(folder: DataFolder, state: PlatformState) -> None:
    """Replace the state, atomically."""
    draft = folder.state_file.with_suffix(".new")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(state)) + b"\n")
    draft.replace(folder.state_file)


def read(folder: DataFolder) -> PlatformState | None:
    """The state as last written, also of a platform that was killed; None if there is none, or it is damaged."""
    try:
        return msgspec.json.decode(Path(folder.state_file).read_bytes(), type=PlatformState)
    except (OSError, msgspec.DecodeError):
        return None


def running(folder: DataFolder) -> PlatformState | None:
    """The state of the platform that runs now."""
    state = read(folder)
    return state if state is not None and state.lives() else None


def require_running(folder: DataFolder) -> PlatformState:
    """The same. Raises `UserError` if none runs, or it is not ready yet."""
    state = running(folder)
    if state is None:
        raise UserError(f"no platform runs in {folder.path}; start it with: ./stampede up --detach")
    if state.phase != "ready":
        raise UserError(f"the platform in {folder.path} is {state.phase}; try again in a moment")
    return state


def clear(folder: DataFolder) -> None:
    """Remove the state."""
    folder.state_file.unlink(missing_ok=True)
