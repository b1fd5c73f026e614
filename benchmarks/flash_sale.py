"""Flash sale: accepted durable orders a second for one hot SKU, through HTTP; contestants in turn, same run.

    python -m benchmarks.flash_sale --rounds 5 --seconds 5 --clients 64

Each round drives every contestant once, in turn, so that a machine that drifts drifts for all. A first, short round
of each is dropped (warm-up). Afterwards each is audited; a run with a breach is no result (exit 1).
Accepted and rejected orders are never summed: with the stock given here, nothing is rejected.
"""

import argparse
import json
import os
import platform as machine
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks import load
from benchmarks.contestants import SKU, Contestant, RowLock, Stampede

UNITS = 1_000_000
WARM_UP_S = 3
SETTLE_S = 2.0
RESULTS = Path(__file__).parent / "results"
BODY: dict[str, object] = {
    "userId": "flash-sale-guest",
    "email": "guest@example.com",
    "items": [{"sku": SKU, "quantity": 1}],
    "shippingAddress": {
        "name": "A Guest",
        "line1": "1 Main Street",
        "city": "Springfield",
        "postalCode": "12345",
        "country": "US",
    },
    "paymentMethod": {"type": "card", "token": "tok_ok"},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 when every audit is clean."""
    options = _options(arguments)
    console = Console(stderr=True)
    contestants: list[Contestant] = [Stampede(), RowLock()]
    rounds: dict[str, list[dict[str, Any]]] = {one.name: [] for one in contestants}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stampede-bench-")))
        folder.chmod(0o755)  # the database's user must reach its own folder below
        progress = stack.enter_context(Progress(console=console))
        steps = progress.add_task("flash sale", total=len(contestants) * (options.rounds + 2))
        for one in contestants:
            stack.callback(one.stop)
            (folder / one.name).mkdir()
            one.start(folder / one.name)
            one.stock(UNITS)
            load.post(one.url(), BODY, seconds=WARM_UP_S, clients=options.clients)
            progress.advance(steps)
        for _ in range(options.rounds):
            for one in contestants:
                rounds[one.name].append(_round(one, options))
                progress.advance(steps)
        time.sleep(SETTLE_S)
        breaches = {}
        for one in contestants:
            breaches[one.name] = one.audit(sum(result["accepted"] for result in rounds[one.name]))
            progress.advance(steps)
    report = _report(options, rounds, breaches)
    _print(report)
    _keep(report, options.json)
    return 1 if any(breaches.values()) else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flash_sale", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--json", type=Path, help="write the result here as well")
    return parser.parse_args(arguments)


def _round(one: Contestant, options: argparse.Namespace) -> dict[str, Any]:
    before = one.cpu_seconds()
    result = load.post(one.url(), BODY, seconds=options.seconds, clients=options.clients)
    after = one.cpu_seconds()
    used_us = {
        kind: round((used - before.get(kind, 0.0)) * 1e6 / max(result.accepted, 1)) for kind, used in after.items()
    }
    return {
        **asdict(result),
        "accepted_per_s": result.accepted_per_s,
        "rejected_per_s": result.rejected_per_s,
        "cpu_us_per_order": used_us,
    }


def _report(
    options: argparse.Namespace, rounds: dict[str, list[dict[str, Any]]], breaches: dict[str, list[str]]
) -> dict[str, Any]:
    def median(name: str, field: str) -> float:
        return round(float(statistics.median(result[field] for result in rounds[name])), 2)

    contestants = {
        name: {
            **{field: median(name, field) for field in ("accepted_per_s", "rejected_per_s", "p50_ms", "p99_ms")},
            "accepted_per_s_range": [
                round(min(result["accepted_per_s"] for result in results), 1),
                round(max(result["accepted_per_s"] for result in results), 1),
            ],
            "failed": sum(result["failed"] for result in results),
            "cpu_us_per_order": results[-1]["cpu_us_per_order"],
        }
        for name, results in rounds.items()
    }
    return {
        "command": f"python -m benchmarks.flash_sale --rounds {options.rounds} --seconds {options.seconds}"
        f" --clients {options.clients}",
        "machine": {
            "cores": os.cpu_count(),
            "memory_gb": round(psutil.virtual_memory().total / 2**30),
            "system": machine.system(),
            "python": machine.python_version(),
            "load_average_before": os.getloadavg()[0],
        },
        "contestants": contestants,
        "ratios": {
            "stampede/p1": round(contestants["stampede"]["accepted_per_s"] / contestants["p1"]["accepted_per_s"], 2)
        },
        "audit": {"breaches": breaches},
        "rounds": rounds,
    }


def _print(report: dict[str, Any]) -> None:
    table = Table(title="accepted durable orders/s, one hot SKU (median of rounds)")
    for column in ("contestant", "accepted/s", "range", "p50 ms", "p99 ms", "failed", "CPU µs an order"):
        table.add_column(column)
    for name, figures in report["contestants"].items():
        low, high = figures["accepted_per_s_range"]
        cpu = ", ".join(f"{kind} {used}" for kind, used in figures["cpu_us_per_order"].items())
        table.add_row(
            name,
            f"{figures['accepted_per_s']:.0f}",
            f"{low:.0f}-{high:.0f}",
            f"{figures['p50_ms']:.1f}",
            f"{figures['p99_ms']:.1f}",
            str(figures["failed"]),
            cpu,
        )
    out = Console()
    out.print(table)
    out.print(f"ratio stampede / P1: {report['ratios']['stampede/p1']}")
    for name, found in report["audit"]["breaches"].items():
        out.print(f"audit of {name}: {found or 'clean'}")


def _keep(report: dict[str, Any], extra: Path | None) -> None:
    text = json.dumps(report, indent=2) + "\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"flash-sale-{time.strftime('%Y%m%d-%H%M%S')}.json").write_text(text, encoding="utf-8")
    if extra is not None:
        extra.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
