"""The wheel has everything that the code reads at run time: statements, templates, styles, the sample catalog."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("actors", "serve", "persistence", "cluster")
DATA = {".sql", ".html", ".txt", ".css", ".json"}


def test_every_file_of_data_is_in_the_wheel(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    data = {
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.suffix in DATA
    }
    assert {"actors/notifications/templates/order.html", "persistence/postgres/sql/notifications.sql"} <= data
    assert data - inside == set()
