"""`audit`: the invariants of money and stock, from the stores, for people or for programs."""

import asyncio
import json as json_module
import sys

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from actors.audit.facts import INVARIANTS
from actors.audit.report import SHOWN_MAX, Report
from actors.audit.run import audit
from persistence.errors import StoreError
from persistence.settings import StoreSettings
from persistence.stores import open_audit_reads

EXIT_CLEAN, EXIT_BREACH, EXIT_UNREAD = 0, 1, 2


def run(settings: StoreSettings, json: bool) -> int:  # noqa: FBT001 - the option of the command line
    """Audit and print; 0: every invariant holds, 1: one does not, 2: the stores could not be read."""
    try:
        report = asyncio.run(_audit(settings))
    except (StoreError, OSError) as error:
        print(f"stampede: the stores could not be read: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_UNREAD
    if json:
        print(json_module.dumps(as_json(report), indent=2))  # noqa: T201
    else:
        print_report(Console(), report)
    return EXIT_CLEAN if report.clean else EXIT_BREACH


async def _audit(settings: StoreSettings) -> Report:
    reads = await open_audit_reads(settings)
    try:
        return await audit(reads)
    finally:
        await reads.close()


def as_json(report: Report) -> dict[str, object]:
    """{clean, running, asOfMs, seconds, checked: {I1: n, …}, breaches: [{invariant, subject, detail}], paymentsUnknown}."""
    return {
        "clean": report.clean,
        "running": report.running,
        "asOfMs": report.as_of_ms,
        "seconds": report.seconds,
        "checked": report.checked,
        "breaches": [
            {"invariant": breach.invariant, "subject": breach.subject, "detail": breach.detail}
            for breach in report.breaches
        ],
        "paymentsUnknown": report.payments_unknown,
        "unknownOrders": list(report.unknown_orders),
    }


def print_report(console: Console, report: Report) -> None:
    """One row an invariant, then the first breaches of each."""
    table = Table(title=f"Audit in {report.seconds:.1f} s", title_justify="left")
    table.add_column("")
    table.add_column("invariant")
    table.add_column("checked", justify="right")
    table.add_column("breaches", justify="right")
    found = report.by_invariant()
    for invariant, meaning in INVARIANTS.items():
        count = found.get(invariant, 0)
        shown = f"[bold red]{count}[/]" if count else "[green]0[/]"
        table.add_row(invariant, escape(meaning), f"{report.checked[invariant]:,}", shown)
    console.print(table, highlight=False)
    if not report.running:
        console.print("The platform does not run: deadlines are judged as of its last sign of life.")
    if report.payments_unknown:
        some = ", ".join(report.unknown_orders)
        console.print(
            f"{report.payments_unknown} payments are unknown to the gateway, and exempt: {some}", soft_wrap=True
        )
    for invariant in found:
        breaches = [breach for breach in report.breaches if breach.invariant == invariant]
        for breach in breaches[:SHOWN_MAX]:
            text = f"[red]{invariant}[/] {escape(breach.subject)}: {escape(breach.detail)}"
            console.print(text, highlight=False, soft_wrap=True)
        if len(breaches) > SHOWN_MAX:
            console.print(f"[red]{invariant}[/] … and {len(breaches) - SHOWN_MAX} more")
