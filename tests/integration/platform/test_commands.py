"""The commands as processes, on a platform whose parts are fake: start, find, stop, and every way to fail."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

FAKE = Path(__file__).with_name("fake_platform.py")


class Shell:
    """Runs commands on one data folder; ends what is left at the end of the test."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.environment = {"PATH": os.environ["PATH"], "STAMPEDE_DATA_DIR": str(folder), "COLUMNS": "200"}

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(FAKE), *arguments], env=self.environment | environment, cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=30)  # returns at the end of *both* streams: nobody may hold them
        return process.returncode, out, err

    def up(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        return self.run("up", "--port", str(self.port), *arguments, **environment)

    def status(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.run("status", "--json")[1])
        return found

    def steps(self) -> list[str]:
        return (self.folder / "steps.txt").read_text().splitlines()


@pytest.fixture
def shell(tmp_path: Path, unused_tcp_port: int) -> Iterator[Shell]:
    made = Shell(tmp_path / "data", unused_tcp_port)
    yield made
    made.run("down")


def wait_for_line(process: subprocess.Popen[str], start: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(start):
            return
    raise AssertionError(f"no line {start!r}: {process.communicate()[1]}")


def test_detached_it_returns_when_ready_and_holds_no_stream(shell: Shell) -> None:
    code, out, err = shell.up("--detach")
    assert (code, err) == (0, "")
    assert [line.split()[1] for line in out.splitlines() if line.startswith("✓")] == ["store", "http"]
    assert f"http://127.0.0.1:{shell.port}" in out
    assert out.count("curl ") == 3
    assert "customer@ecommerce.local / customer123" in out
    found = shell.status()
    assert (found["running"], found["ready"], found["phase"]) == (True, True, "ready")
    assert found["port"] == shell.port


def test_down_stops_it_in_order_and_twice_is_no_fault(shell: Shell) -> None:
    shell.up("--detach")
    pid = shell.status()["pid"]
    assert shell.run("down") == (0, "stopped\n", "")
    assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text()
    assert shell.steps() == ["start store", "start http", "stop http", "stop store"]
    assert shell.status() == {"running": False, "dataDir": str(shell.folder)}
    assert shell.run("down") == (0, f"nothing runs in {shell.folder}\n", "")
    assert not (shell.folder / "run" / "platform.json").exists()


def test_status_of_nothing_has_code_3(shell: Shell) -> None:
    assert shell.run("status") == (3, f"nothing runs in {shell.folder}\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_in_the_foreground_it_stops_on_a_signal(shell: Shell, number: signal.Signals) -> None:
    process = shell.start("up", "--port", str(shell.port))
    wait_for_line(process, "stop it with Ctrl-C")
    process.send_signal(number)
    assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == 0
    assert shell.steps() == ["start store", "start http", "stop http", "stop store"]


def test_a_second_one_on_the_folder_is_refused_and_the_first_lives(shell: Shell) -> None:
    shell.up("--detach")
    for arguments in ([], ["--detach"]):
        code, _, err = shell.up(*arguments)
        assert code == 1
        assert err.startswith(f"stampede: a platform runs in {shell.folder} already (http://127.0.0.1:{shell.port}")
        assert len(err.splitlines()) == 1
    assert shell.status()["ready"] is True


def test_two_with_their_own_folders_and_ports_run_side_by_side(
    shell: Shell, tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    other = Shell(tmp_path / "other", unused_tcp_port_factory())
    assert shell.up("--detach")[0] == 0
    assert other.up("--detach")[0] == 0
    assert shell.run("down")[0] == 0
    assert other.status()["ready"] is True
    assert other.run("down")[0] == 0


@pytest.mark.parametrize("arguments", [[], ["--detach"]])
def test_a_port_in_use_is_one_line(shell: Shell, arguments: list[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", shell.port))
        taken.listen()
        code, _, err = shell.up(*arguments)
    assert (code, err) == (1, f"stampede: port {shell.port} on 127.0.0.1 is in use; choose another with --port\n")
    assert not (shell.folder / "steps.txt").exists()


@pytest.mark.parametrize("arguments", [[], ["--detach"]])
def test_a_step_that_fails_is_one_line_and_stops_the_rest(shell: Shell, arguments: list[str]) -> None:
    code, _, err = shell.up(*arguments, FAKE_FAILS="the disk is full")
    assert (code, err) == (1, "stampede: the disk is full\n")
    assert shell.steps()[-2:] == ["stop http", "stop store"]
    assert shell.status()["running"] is False


def test_a_detached_one_that_dies_is_told_at_once(shell: Shell) -> None:
    code, _, err = shell.up("--detach", FAKE_DIES="1")
    assert code == 1
    assert err.startswith("stampede: the platform ended with code 7 before it was ready; see ")


@pytest.mark.parametrize("arguments", [[], ["--detach"]])
def test_a_file_in_the_folder_s_place_is_one_line(shell: Shell, arguments: list[str]) -> None:
    shell.folder.write_text("")
    code, _, err = shell.up(*arguments)
    assert (code, err) == (1, f"stampede: the data folder {shell.folder} is not a folder but a file\n")
    shell.folder.unlink()


def test_after_kill_9_it_starts_again(shell: Shell) -> None:
    shell.up("--detach")
    os.kill(int(str(shell.status()["pid"])), signal.SIGKILL)
    assert shell.status()["running"] is False
    assert shell.up("--detach")[0] == 0
    assert shell.status()["ready"] is True


def test_after_kill_9_down_clears_the_state(shell: Shell) -> None:
    shell.up("--detach")
    os.kill(int(str(shell.status()["pid"])), signal.SIGKILL)
    assert shell.run("down")[0] == 0
    assert not (shell.folder / "run" / "platform.json").exists()


def test_reset_asks_and_deletes_only_what_does_not_run(shell: Shell) -> None:
    shell.up("--detach")
    code, _, err = shell.run("reset", "--yes")
    assert code == 1
    assert err == f"stampede: a platform runs in {shell.folder}; stop it first: ./stampede down\n"
    shell.run("down")
    assert shell.run("reset")[0] != 0  # nobody answers
    assert shell.folder.exists()
    assert shell.run("reset", "--yes") == (0, f"deleted {shell.folder}\n", "")
    assert not shell.folder.exists()


def test_logs_say_what_happened(shell: Shell) -> None:
    shell.up("--detach")
    shell.run("down")
    code, out, _ = shell.run("logs")
    assert code == 0
    assert "platform | " in out
    assert "store: started in" in out


def test_logs_follow_until_interrupted(shell: Shell) -> None:
    shell.up("--detach")
    process = shell.start("logs", "-f", "-n", "1")
    wait_for_line(process, "platform | ")  # the last line so far: from now on it follows
    shell.run("down")
    wait_for_line(process, "platform | ")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)


@pytest.mark.parametrize("command", [["demo"], ["logs"], ["audit"], ["reset", "--yes"], ["token", "--service", "x"]])
def test_without_a_platform_a_command_says_so_in_one_line(shell: Shell, command: list[str]) -> None:
    code, out, err = shell.run(*command)
    assert (code, out) == (1, "")
    assert err.startswith("stampede: ")
    assert str(shell.folder) in err
    assert len(err.splitlines()) == 1


def test_an_unknown_command_has_code_2(shell: Shell) -> None:
    assert shell.run("nope")[0] == 2
