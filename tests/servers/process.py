"""A server of the tests as a process: what a test may do to it, whichever server it is."""

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import psutil


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


class ServerProcess:
    """Base of the private servers. Each brings `folder`, which goes with it, and a `start` that sets `process`."""

    folder: Path
    process: subprocess.Popen[bytes] | None

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def pause(self) -> None:
        """SIGSTOP: it takes what is sent, and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        # The signal is only sent: on another core the server may go on for a moment.
        while psutil.Process(self.process.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.001)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.resume()
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
