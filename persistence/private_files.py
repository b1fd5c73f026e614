"""Files that only their owner may read: passwords, keys, tokens."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write `text` into a new file of mode 600. Raises `FileExistsError` if there is one already."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
        out.flush()
        os.fsync(descriptor)


def read_or_make(path: Path, make: Callable[[], str]) -> str:
    """The secret in this file; the first caller makes it. Two at once get the same one, and none is half-written."""
    with suppress(FileNotFoundError):
        return path.read_text().strip()
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    draft.unlink(missing_ok=True)
    write_private(draft, make() + "\n")
    with suppress(FileExistsError):
        os.link(draft, path)  # unlike a rename it never replaces what another has made meanwhile
    draft.unlink()
    return path.read_text().strip()
