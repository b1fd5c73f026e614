"""The audit of dependencies: what it says when it found something, nothing, or could not ask."""

from pathlib import Path
from typing import Any

import pytest

from serve.platform import dependency_audit
from serve.platform.dependency_audit import audit_dependencies, finding_of

CLEAN: dict[str, Any] = {"name": "good", "version": "1", "vulns": []}
HURT: dict[str, Any] = {"name": "bad", "version": "2", "vulns": [{"id": "CVE-1"}, {"id": "CVE-2"}]}
UNKNOWN: dict[str, Any] = {"name": "odd", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("dependencies", "outcome", "text"),
    [
        ([CLEAN], "clean", "1 looked up"),
        ([CLEAN, UNKNOWN], "clean", "1 looked up; 1 could not be: odd"),
        ([CLEAN, HURT, UNKNOWN], "vulnerable", "bad 2: CVE-1\nbad 2: CVE-2"),
        ([UNKNOWN, UNKNOWN], "skipped", "the database of vulnerabilities knows none of them: not found"),
        ([], "skipped", "the database of vulnerabilities knows none of them: the lock names no dependency"),
    ],
)
def test_what_a_report_says(dependencies: list[dict[str, Any]], outcome: str, text: str) -> None:
    found = finding_of({"dependencies": dependencies})
    assert (found.outcome, found.text) == (outcome, text)


def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    monkeypatch.setattr(dependency_audit.sys, "executable", str(path))


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("echo 'cannot connect' >&2; exit 1", "pip-audit could not ask: cannot connect"),
        ("exit 1", "pip-audit could not ask: no output"),
        ("exec sleep 30", "no answer within 0 s"),
    ],
)
def test_what_cannot_be_asked_is_skipped_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, text: str
) -> None:
    program(tmp_path, monkeypatch, script)
    found = audit_dependencies(tmp_path, timeout_s=0.3 if "sleep" in script else 10)
    assert (found.outcome, found.text) == ("skipped", text)
