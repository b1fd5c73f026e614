"""Looks the locked dependencies up among the known vulnerabilities, where that database can be reached."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

TIMEOUT_S: Final = 60
_NAMED_MAX: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What came of it. `skipped`: nobody knows; the text says why."""

    outcome: Literal["clean", "vulnerable", "skipped"]
    text: str


def audit_dependencies(root: Path, timeout_s: float = TIMEOUT_S) -> Finding:
    """Look up every line of `requirements.lock`. Takes at most `timeout_s`; installs and builds nothing."""
    command = [
        sys.executable, "-m", "pip_audit", "--requirement", str(root / "requirements.lock"), "--no-deps",
        "--disable-pip", "--progress-spinner", "off", "--format", "json",
    ]  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603 -- our own command
            command, cwd=root, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return Finding(outcome="skipped", text=f"no answer within {timeout_s:.0f} s")
    try:
        report = json.loads(done.stdout)
    except json.JSONDecodeError:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        return Finding(outcome="skipped", text=f"pip-audit could not ask: {lines[-1][:200] if lines else 'no output'}")
    return finding_of(report)


def finding_of(report: Mapping[str, Any]) -> Finding:
    """What a report of pip-audit says."""
    dependencies: Sequence[Mapping[str, Any]] = report["dependencies"]
    known = [each for each in dependencies if "skip_reason" not in each]
    found = [(each, vulnerability) for each in known for vulnerability in each["vulns"]]
    if found:
        named = [f"{each['name']} {each['version']}: {vulnerability['id']}" for each, vulnerability in found]
        return Finding(outcome="vulnerable", text="\n".join(named))
    unknown = [each["name"] for each in dependencies if "skip_reason" in each]
    if not known:
        reason = next((str(each["skip_reason"]) for each in dependencies), "the lock names no dependency")
        return Finding(outcome="skipped", text=f"the database of vulnerabilities knows none of them: {reason[:200]}")
    if unknown:
        some = ", ".join(unknown[:_NAMED_MAX])
        return Finding(outcome="clean", text=f"{len(known)} looked up; {len(unknown)} could not be: {some}")
    return Finding(outcome="clean", text=f"{len(known)} looked up")
