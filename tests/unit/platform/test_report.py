"""Progress reaches the process that waits, and nobody has to wait."""

import io
import os

import msgspec
from rich.console import Console

from serve.platform.report import PipeReport, TerminalReport, Told, forward


def piped() -> tuple[PipeReport, io.BufferedReader]:
    reading, writing = os.pipe()
    return PipeReport(writing), os.fdopen(reading, "rb")


def printed(pipe: io.BufferedReader) -> tuple[Told | None, str]:
    out = io.StringIO()
    last = forward(pipe, TerminalReport(Console(file=out)))
    return last, out.getvalue()


def test_steps_are_printed_where_they_are_awaited() -> None:
    report, pipe = piped()
    with pipe:
        report.begins("database")
        report.note("making it")
        report.ends("database", 1_250)
        report.ready()
        assert printed(pipe) == (Told("ready"), "✓ database 1.2 s\n")


def test_a_failure_comes_with_its_line() -> None:
    report, pipe = piped()
    with pipe:
        report.failed("port 80 is in use")
        assert printed(pipe) == (Told("failed", "port 80 is in use"), "")


def test_an_end_without_a_word_is_none() -> None:
    reading, writing = os.pipe()
    os.write(writing, msgspec.json.encode(Told("begins", "database")) + b"\n")
    os.close(writing)  # as the system does when the process is killed
    with os.fdopen(reading, "rb") as pipe:
        assert printed(pipe) == (None, "")


def test_nobody_reading_is_no_fault() -> None:
    report, pipe = piped()
    pipe.close()
    report.begins("database")
    report.ready()
    report.note("after the end")


def test_the_pipe_is_not_handed_on_to_what_we_start() -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    report = PipeReport(writing)
    assert not os.get_inheritable(writing)
    report.ready()
    os.close(reading)
