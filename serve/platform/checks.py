"""`check` and `test`: what has to be green before a change goes in."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from persistence.embedded import EmbeddedPostgres
from serve.platform.dependency_audit import audit_dependencies
from serve.platform.errors import UserError

_PACKAGES = ("actors", "serve", "persistence", "cluster", "benchmarks")
_TOGETHER_MAX = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One program that must end with code 0."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How it ended."""

    check: Check
    code: int
    output: str
    took_s: float


def project_root() -> Path:
    """The checkout. Raises `UserError` where there is none: an installed wheel brings no tests."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "pyproject.toml").is_file() or not (root / "tests").is_dir():
        raise UserError("this needs a checkout of the project: the tests are not part of the installed package")
    return root


def quick_checks() -> list[Check]:
    """Format, lint, types, import contracts, unit tests."""
    python = sys.executable
    lint_imports = str(Path(python).with_name("lint-imports"))
    return [
        Check(name="format", command=(python, "-m", "ruff", "format", "--check", "--quiet", ".")),
        Check(name="lint", command=(python, "-m", "ruff", "check", "--quiet", ".")),
        Check(name="imports", command=(lint_imports,)),
        Check(name="types", command=(python, "-m", "mypy", *_existing_packages())),
        Check(name="unit tests", command=(python, "-m", "pytest", "-q", "tests/unit", "-n", str(_TOGETHER_MAX))),
    ]


def check(console: Console) -> bool:
    """Run the quick checks, a line for each as it ends; what a failed one printed follows. Under 60 s."""
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=min(_TOGETHER_MAX, os.cpu_count() or 1)) as pool:
        running = [pool.submit(_run, each, project_root()) for each in quick_checks()]
        outcomes = [_tell(console, done.result()) for done in as_completed(running)]
    green = all(outcome.code == 0 for outcome in outcomes)
    console.print(f"check: {'green' if green else 'red'} in {time.monotonic() - began:.0f} s", highlight=False)
    return green


def test(console: Console, arguments: Sequence[str]) -> bool:
    """The quick checks, then every suite with its output as it comes; the end names what it ran against.

    With arguments: only pytest, with them.
    """
    began = time.monotonic()
    root = project_root()
    command = [sys.executable, "-m", "pytest"]
    if arguments:
        return subprocess.run([*command, *arguments], cwd=root, check=False).returncode == 0  # noqa: S603
    green = check(console)
    for suite in _suites():
        console.rule(suite.name)
        green = subprocess.run([*command, *suite.command], cwd=root, check=False).returncode == 0 and green  # noqa: S603
    green = _audit_dependencies(console, root) and green
    console.print(f"ran against: {', '.join(_ran_against())}", highlight=False, soft_wrap=True)
    console.print(f"test: {'green' if green else 'red'} in {time.monotonic() - began:.0f} s", highlight=False)
    return green


def _suites() -> list[Check]:
    """What `check` leaves over: first what needs no Ray, side by side; then what starts it, one after the other."""
    alone = ("tests", "--ignore=tests/unit", "-m", "not ray and not soak", "-n", str(_TOGETHER_MAX))
    with_ray = ("tests", "--ignore=tests/unit", "-m", "ray and not soak")
    return [
        Check(name="contracts, simulation, security, packaging, integration", command=alone),
        Check(name="on real Ray: integration, end to end, faults", command=with_ray),
    ]


def _run(each: Check, root: Path) -> Outcome:
    began = time.monotonic()
    answer = subprocess.run(  # noqa: S603 -- our own list
        each.command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return Outcome(check=each, code=answer.returncode, output=answer.stdout, took_s=time.monotonic() - began)


def _tell(console: Console, outcome: Outcome) -> Outcome:
    sign = "[green]✓[/]" if outcome.code == 0 else "[red]✗[/]"
    console.print(f"{sign} {outcome.check.name} [dim]{outcome.took_s:.1f} s[/]", highlight=False)
    if outcome.code != 0:
        console.print(outcome.output, markup=False, highlight=False, soft_wrap=True)
    return outcome


def _audit_dependencies(console: Console, root: Path) -> bool:
    """Red only for a vulnerability that is known; that nobody could be asked is said, and no fault of the change."""
    found = audit_dependencies(root)
    sign = {"clean": "[green]✓[/]", "vulnerable": "[red]✗[/]", "skipped": "[yellow]skipped:[/]"}[found.outcome]
    console.print(f"{sign} dependencies against known vulnerabilities", highlight=False)
    console.print(found.text, markup=False, highlight=False, soft_wrap=True)
    return found.outcome != "vulnerable"


def _existing_packages() -> list[str]:
    return [package for package in _PACKAGES if (project_root() / package / "__init__.py").is_file()]


def _ran_against() -> list[str]:
    """The real things under the suites; the suites themselves print which server each of them spoke to."""
    external = "DATABASE_URL" in os.environ
    postgres = "the server of DATABASE_URL" if external else EmbeddedPostgres(Path.cwd()).version + " (embedded, real)"
    return [
        f"Python {sys.version.split()[0]} on {sys.platform}",
        f"PostgreSQL {postgres}",
        f"Ray {version('ray')}",
        f"FastAPI {version('fastapi')}",
    ]
