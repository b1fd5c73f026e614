"""How a running platform is found, and a dead one is not taken for alive."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from serve.platform import state
from serve.platform.address import check_address
from serve.platform.errors import UserError
from serve.platform.folder import DataFolder
from serve.platform.processes import start_mark, wait_gone
from serve.platform.state import PlatformState, base_url


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    made = DataFolder(tmp_path)
    made.make()
    return made


@pytest.fixture
def ours() -> PlatformState:
    return PlatformState(
        pid=os.getpid(),
        start_mark=start_mark(os.getpid()) or "",
        host="127.0.0.1",
        port=8000,
        urls={"api": "http://127.0.0.1:8000"},
        version="0.1.0",
        database="embedded",
        phase="ready",
        started_at_ms=1,
    )


def test_reads_what_was_written(folder: DataFolder, ours: PlatformState) -> None:
    state.write(folder, ours)
    assert state.running(folder) == ours == state.require_running(folder)
    state.clear(folder)
    assert state.read(folder) is None


def test_a_later_process_with_the_same_pid_is_not_it(folder: DataFolder, ours: PlatformState) -> None:
    state.write(folder, msgspec.structs.replace(ours, start_mark="another boot:1"))
    assert state.read(folder) is not None
    assert state.running(folder) is None


def test_a_damaged_state_is_none(folder: DataFolder) -> None:
    folder.state_file.write_text("{half")
    assert state.read(folder) is None


def test_a_command_waits_for_ready(folder: DataFolder, ours: PlatformState) -> None:
    with pytest.raises(UserError, match="no platform runs"):
        state.require_running(folder)
    state.write(folder, msgspec.structs.replace(ours, phase="starting"))
    with pytest.raises(UserError, match="is starting"):
        state.require_running(folder)


def test_a_dead_process_has_no_mark_even_before_it_is_reaped() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mark = start_mark(child.pid)
    assert mark is not None
    assert not wait_gone(child.pid, mark, timeout_s=0)
    child.kill()
    assert wait_gone(child.pid, mark, timeout_s=10)
    child.communicate()
    assert start_mark(child.pid) is None


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("shop.example", "http://shop.example:80"),
    ],
)
def test_a_url_is_one_that_a_client_here_can_use(host: str, url: str) -> None:
    assert base_url(host, 80) == url


def test_a_port_in_use_is_told() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} on 127.0.0.1 is in use; choose another with --port"):
            check_address("127.0.0.1", port)
    check_address("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "1.2.3.4.5"])
def test_an_address_that_is_not_ours_is_told(host: str) -> None:
    with pytest.raises(UserError, match="is not an address of this machine"):
        check_address(host, 8000)
