"""Becomes the database's user, asks to die with its parent, and runs a command in its own place.

Run as a script by `persistence.embedded`, never imported by it: between fork and exec a threaded process may not
run Python, so the work is done after an exec of the interpreter instead. Needs the standard library only.

    embedded_exec.py run UID GID DEATH_SIGNAL PARENT_PID COMMAND...
    embedded_exec.py reach UID GID PATH...     prints the first folder on the way to a path that cannot be entered
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def _become(uid: int, gid: int) -> None:
    """Drop to this user for good; -1 keeps the present one."""
    if uid < 0:
        return
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _first_blocked(path: str) -> str | None:
    """The outermost folder on the way to `path` that may not be entered, or `path` itself if it is not readable."""
    ends = [at for at, letter in enumerate(path) if letter == os.sep and at > 0]
    for folder in (path[:end] for end in ends):
        if not os.access(folder, os.X_OK):
            return folder
    return None if os.access(path, os.R_OK | os.X_OK) or _is_entered(path) else path


def _is_entered(path: str) -> bool:
    """A folder need not be readable, only passable."""
    return os.path.isdir(path) and os.access(path, os.X_OK)  # noqa: PTH112 -- nothing but os is imported here


def _reach(paths: list[str]) -> int:
    for path in paths:
        blocked = _first_blocked(path)
        if blocked is not None:
            sys.stdout.write(blocked)
            return 1
    return 0


def _run(death_signal: int, parent: int, command: list[str]) -> None:
    # After the change of user, which would clear it. It survives the exec below.
    if death_signal > 0 and sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            sys.exit(1)
    os.umask(0o077)
    os.execv(command[0], command)  # noqa: S606 -- no shell is wanted


def main(argv: list[str]) -> int:
    """Entry point; `argv` is without the script's name."""
    verb, uid, gid = argv[0], int(argv[1]), int(argv[2])
    _become(uid, gid)
    if verb == "reach":
        return _reach(argv[3:])
    _run(int(argv[3]), int(argv[4]), argv[5:])
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
