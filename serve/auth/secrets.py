"""Where secrets come from: the environment or a file; generated into the data folder in development."""

import secrets
from pathlib import Path

from persistence.private_files import read_or_make
from serve.settings import SECRET_BYTES_MIN


class SecretMissing(Exception):
    """A secret that is needed was given neither in the environment nor in a readable file."""


def read_secret(path: Path) -> str:
    """A secret's file, without the newline at its end. Raises `SecretMissing` if unreadable or too short."""
    try:
        value = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SecretMissing(f"cannot read the secret file {path}: {error.strerror}") from None
    if len(value.encode()) < SECRET_BYTES_MIN:
        raise SecretMissing(f"the secret in {path} is shorter than {SECRET_BYTES_MIN} bytes")
    return value


def generated_secret(data_dir: Path, name: str) -> str:
    """The secret `<data_dir>/secrets/<name>` (mode 600), made on the first call, whoever makes it first."""
    folder = data_dir / "secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return read_or_make(folder / name, lambda: secrets.token_urlsafe(48))
