"""An embedded PostgreSQL for one test."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from persistence.embedded import EmbeddedPostgres


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the database's user can reach: pytest's own is closed to others, also when we are root."""
    path = Path(tempfile.mkdtemp(prefix="stampede-test-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """A running server."""
    with EmbeddedPostgres(folder / "postgres") as running:
        yield running
