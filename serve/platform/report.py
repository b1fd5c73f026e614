"""Where the progress of `up` goes: to a terminal, or through a pipe to the process that waits for it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Protocol

import msgspec
from rich.console import Console
from rich.markup import escape


class Report(Protocol):
    """Told of each step. None of the methods raises."""

    def begins(self, step: str) -> None:
        """A step was begun."""

    def note(self, text: str) -> None:
        """What it is doing now."""

    def ends(self, step: str, took_ms: int) -> None:
        """It is done."""

    def ready(self) -> None:
        """The platform answers."""

    def failed(self, message: str) -> None:
        """It could not be started, in one line."""


class TerminalReport:
    """A spinner for the step at work, a line for each that is done; lines only where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("")
        self._step = ""

    def begins(self, step: str) -> None:
        """Show the spinner."""
        self._step = step
        self._status.update(f"{escape(step)} …")
        if self._console.is_terminal:
            self._status.start()

    def note(self, text: str) -> None:
        """Show it beside the spinner."""
        self._status.update(f"{escape(self._step)}: {escape(text)} …")

    def ends(self, step: str, took_ms: int) -> None:
        """Print the line."""
        self._status.stop()
        self._console.print(f"[green]✓[/] {escape(step)} [dim]{took_ms / 1000:.1f} s[/]", highlight=False)

    def ready(self) -> None:
        """Nothing: what follows is printed by the command."""
        self._status.stop()

    def failed(self, message: str) -> None:  # noqa: ARG002 -- the protocol's
        """Nothing but to end the spinner: the line is printed by the command."""
        self._status.stop()


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the pipe: the name of a `Report` method and its arguments."""

    what: str
    text: str = ""
    took_ms: int = 0


class PipeReport:
    """Writes each call as a JSON line for `forward`. When nobody reads any more, it goes on in silence."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)  # nothing that we start may keep it open
        self._out: IO[bytes] = os.fdopen(descriptor, "wb", buffering=0)

    def begins(self, step: str) -> None:
        """Tell it."""
        self._tell(Told("begins", step))

    def note(self, text: str) -> None:
        """Tell it."""
        self._tell(Told("note", text))

    def ends(self, step: str, took_ms: int) -> None:
        """Tell it."""
        self._tell(Told("ends", step, took_ms))

    def ready(self) -> None:
        """Tell it, the last thing to tell."""
        self._tell(Told("ready"))
        self._out.close()

    def failed(self, message: str) -> None:
        """Tell it, the last thing to tell."""
        self._tell(Told("failed", message))
        self._out.close()

    def _tell(self, told: Told) -> None:
        with suppress(BrokenPipeError, ValueError):  # ValueError: closed
            self._out.write(msgspec.json.encode(told) + b"\n")


def forward(pipe: IO[bytes], to: Report) -> Told | None:
    """Hand on what a `PipeReport` tells until its last line ("ready" or "failed"); None if it ended without one."""
    for line in pipe:
        told = msgspec.json.decode(line, type=Told)
        match told.what:
            case "begins":
                to.begins(told.text)
            case "note":
                to.note(told.text)
            case "ends":
                to.ends(told.text, told.took_ms)
            case _:
                return told
    return None


@contextmanager
def spinner(console: Console, text: str) -> Iterator[None]:
    """A spinner around something short; nothing where there is no terminal."""
    if not console.is_terminal:
        yield
        return
    with console.status(escape(text)):
        yield
