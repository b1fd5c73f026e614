"""The launcher, with a Python of its own making in the place of the real one: it says what it was asked to do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Passes -c on to the real Python; makes a .venv whose python is this script again; writes down the rest.
FAKE_PYTHON = f"""#!/bin/sh
case "$1 $2" in
    "-c "*) exec "{sys.executable}" "$@" ;;
    "-m venv") mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; echo venv >>"$CALLS" ;;
    "-m pip") echo "pip $*" >>"$CALLS"; if [ -n "$PIP_FAILS" ]; then echo "ERROR: no network" >&2; exit 1; fi ;;
    "-m serve.cli") shift 2; for a in "$@"; do printf '<%s>' "$a"; done; echo ;;
esac
"""

POSIX_SHELLS = [shell for shell in ("sh", "dash", "busybox") if shutil.which(shell)]


class Checkout:
    """A folder with the launcher, a lock and a pyproject, and the fake Python on the PATH."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a checkout"
        self.root.mkdir()
        shutil.copy(ROOT / "stampede", self.root)
        (self.root / "requirements.lock").write_text("one==1\n")
        (self.root / "pyproject.toml").write_text("[project]\n")
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in ("sh", "cat", "cksum", "cp", "dirname", "grep", "mkdir", "readlink", "rm", "tail"):
            found = shutil.which(tool)
            assert found is not None
            (self.bin / tool).symlink_to(found)
        self.add_python("python3.12")
        self.calls_file = folder / "calls"

    def add_python(self, name: str) -> None:
        (self.bin / name).write_text(FAKE_PYTHON)
        (self.bin / name).chmod(0o755)

    def start(self, *arguments: str, command: Path | None = None, pip_fails: bool = False) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(command or self.root / "stampede"), *arguments], cwd="/", text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={"PATH": str(self.bin), "CALLS": str(self.calls_file), "PIP_FAILS": "1" if pip_fails else ""},
        )  # fmt: skip

    def run(self, *arguments: str, command: Path | None = None, pip_fails: bool = False) -> tuple[int, str, str]:
        process = self.start(*arguments, command=command, pip_fails=pip_fails)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err

    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_is_executable_and_short() -> None:
    assert os.access(ROOT / "stampede", os.X_OK)
    assert len((ROOT / "stampede").read_text().splitlines()) < 100


@pytest.mark.parametrize("shell", POSIX_SHELLS)
def test_is_posix_shell(shell: str) -> None:
    for script in ("stampede", ".ci/run"):
        command = [shell, "sh", "-n"] if shell == "busybox" else [shell, "-n"]
        assert subprocess.run([*command, str(ROOT / script)], check=False).returncode == 0


def test_sets_up_with_the_hashes_of_the_lock_then_runs_the_command(checkout: Checkout) -> None:
    code, out, err = checkout.run("up", "--data-dir", "two words", "")
    assert (code, out) == (0, "<up><--data-dir><two words><>\n")
    made, libraries, project = checkout.calls()
    assert made == "venv"
    assert f"--require-hashes -r {checkout.root}/requirements.lock" in libraries
    assert f"--no-deps --no-build-isolation -e {checkout.root}" in project
    assert len(err.splitlines()) == 3
    assert not (checkout.root / ".venv.log").exists()


def test_a_second_call_sets_nothing_up(checkout: Checkout) -> None:
    checkout.run("status")
    before = checkout.calls()
    code, out, err = checkout.run("status")
    assert (code, out, err) == (0, "<status>\n", "")
    assert checkout.calls() == before


@pytest.mark.parametrize("file", ["requirements.lock", "pyproject.toml"])
def test_a_changed_file_sets_up_again_in_the_same_venv(checkout: Checkout, file: str) -> None:
    checkout.run("status")
    (checkout.root / file).write_text("changed\n")
    checkout.run("status")
    assert [call.split()[0] for call in checkout.calls()] == ["venv", "pip", "pip", "pip", "pip"]


def test_a_moved_checkout_gets_a_new_venv(checkout: Checkout) -> None:
    checkout.run("status")
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))
    assert checkout.run("status")[0] == 0
    assert checkout.calls().count("venv") == 2


def test_works_through_a_symlink(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "direct").symlink_to("../a checkout/stampede")
    (tmp_path / "links" / "indirect").symlink_to(tmp_path / "links" / "direct")
    assert checkout.run("status", command=tmp_path / "links" / "indirect")[:2] == (0, "<status>\n")
    assert (checkout.root / ".venv").is_dir()


def test_two_at_once_set_up_once(checkout: Checkout) -> None:
    both = [checkout.start("status") for _ in range(2)]
    assert [process.communicate(timeout=30)[0] for process in both] == ["<status>\n"] * 2
    assert checkout.calls().count("venv") == 1


def test_without_a_python_says_so_in_one_line(checkout: Checkout) -> None:
    (checkout.bin / "python3.12").unlink()
    code, out, err = checkout.run("up")
    assert (code, out) == (1, "")
    assert err.startswith("stampede: Python 3.11, 3.12 or 3.13 ")
    assert len(err.splitlines()) == 1


def test_passes_over_a_python_that_does_not_fit(checkout: Checkout) -> None:
    (checkout.bin / "python3.11").write_text("#!/bin/sh\nexit 1\n")
    (checkout.bin / "python3.11").chmod(0o755)
    assert checkout.run("status")[:2] == (0, "<status>\n")


def test_a_failed_installation_is_told_briefly_and_tried_again(checkout: Checkout) -> None:
    code, out, err = checkout.run("up", pip_fails=True)
    assert (code, out) == (1, "")
    assert err.splitlines()[-2] == "ERROR: no network"
    assert err.splitlines()[-1].startswith("stampede: setting up .venv failed;")
    assert checkout.run("up")[:2] == (0, "<up>\n")
