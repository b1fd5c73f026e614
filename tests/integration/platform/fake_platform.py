"""The command line with steps that need neither Ray nor a database: a "database" that can fail, and an HTTP server.

Run as a script. FAKE_FAILS=<text>: the second step fails with it. FAKE_DIES: it ends the process instead.
"""

import functools
import http.server
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from serve import cli
from serve.platform.detach import up_detached
from serve.platform.errors import UserError
from serve.platform.folder import DataFolder
from serve.platform.report import Report
from serve.platform.run import Step
from serve.platform.steps import UpOptions, wait_ready
from serve.platform.up import up


class Answers(http.server.BaseHTTPRequestHandler):
    """200 to everything."""

    def do_GET(self) -> None:
        body = b'{"status": "ok", "checks": {"catalog": {"status": "ok"}}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class's name
        """Nothing."""


def fake_steps(folder: DataFolder, options: UpOptions, report: Report) -> Sequence[Step]:
    """The steps of this platform; each writes down in `steps.txt` that it was started and stopped."""

    def write_down(text: str) -> None:
        with (folder.path / "steps.txt").open("a") as out:
            out.write(f"{text}\n")

    def start_http() -> None:
        write_down("start http")
        if "FAKE_FAILS" in os.environ:
            raise UserError(os.environ["FAKE_FAILS"])
        if "FAKE_DIES" in os.environ:
            os._exit(7)
        report.note("listening")
        server = http.server.ThreadingHTTPServer((options.host, options.port), Answers)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        wait_ready(f"http://{options.host}:{options.port}")

    return [
        Step(name="store", start=lambda: write_down("start store"), stop=lambda: write_down("stop store")),
        Step(name="http", start=start_http, stop=lambda: write_down("stop http")),
    ]


if __name__ == "__main__":
    vars(cli).update(
        run_platform=functools.partial(up, make_steps=fake_steps),
        up_detached=functools.partial(up_detached, entry=(sys.executable, __file__)),
    )
    cli.main()
