"""What is printed, and what a second look takes back."""

import json

from rich.console import Console

from actors.audit.facts import Breach
from actors.audit.report import Report, confirmed
from serve.audit import as_json, print_report
from tests.unit.actors.audit.healthy import History


def report(*breaches: Breach) -> Report:
    return Report(checked={"I1": 1}, breaches=breaches, as_of_ms=1, running=True)


def breach(subject: str, *, settling: bool, invariant: str = "I7") -> Breach:
    return Breach(invariant=invariant, subject=subject, detail="d", settling=settling)


def test_what_settles_is_taken_back_and_what_stays_counts() -> None:
    first = report(breach("gone", settling=True), breach("stays", settling=True))
    second = report(breach("stays", settling=True), breach("new", settling=True), breach("certain", settling=False))
    assert [found.subject for found in confirmed(first, second).breaches] == ["stays", "certain"]


async def test_the_printed_report_names_invariant_subject_and_detail(history: History) -> None:
    found = await history.audit()
    broken = Report(
        checked=found.checked,
        breaches=(breach("reservation [x]", settling=False),),
        as_of_ms=found.as_of_ms,
        running=False,
        payments_unknown=1,
        unknown_orders=("ord_1",),
    )
    console = Console(record=True, width=160)
    print_report(console, broken)
    text = console.export_text()
    assert "I7 reservation [x]: d" in text
    assert "does not run" in text
    assert "ord_1" in text
    shown = json.loads(json.dumps(as_json(broken)))
    assert shown["breaches"] == [{"invariant": "I7", "subject": "reservation [x]", "detail": "d"}]
    assert shown["clean"] is False
    assert as_json(found)["clean"] is True
