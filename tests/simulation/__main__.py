"""`python -m tests.simulation --seeds N --from S`: as many runs as one likes, by hand."""

import argparse
import sys
import time

from tests.simulation.run import run_seed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many runs")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first seed")
    parser.add_argument("--trace", action="store_true", help="print the whole trace of each run")
    asked = parser.parse_args()
    began, failed = time.monotonic(), []
    for seed in range(asked.first, asked.first + asked.seeds):
        outcome = run_seed(seed)
        if asked.trace:
            print("\n".join(outcome.trace))
            print(outcome.steps, outcome.stats)
        if outcome.breaches:
            failed.append(seed)
            print(outcome.report(), flush=True)
    print(f"{asked.seeds} seeds from {asked.first}: {len(failed)} failed {failed}, {time.monotonic() - began:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
