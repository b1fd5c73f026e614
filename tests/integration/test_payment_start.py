"""`up` refuses a payment gateway that does not fit, with one line and before anything is started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECRET = "an-operator-s-own-secret-of-more-than-32-bytes"
PRODUCTION = {"STAMPEDE_ENV": "production", "STAMPEDE_AUTH_JWT_SECRET": SECRET, "STAMPEDE_IDS_SECRET": SECRET[::-1]}
STRIPE = {"STAMPEDE_PAYMENTS_GATEWAY": "stripe"}


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        (PRODUCTION, "STAMPEDE_PAYMENTS_SANDBOX_ALLOWED"),
        (PRODUCTION | STRIPE, "STAMPEDE_PAYMENTS_STRIPE_API_KEY"),
        (STRIPE | {"STAMPEDE_PAYMENTS_STRIPE_API_KEY": "canary"}, "begins with sk_"),
    ],
)
def test_up_says_what_is_missing(tmp_path: Path, environment: dict[str, str], named: str) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("STAMPEDE_", "DATABASE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "serve.cli", "up", "--detach", "--data-dir", str(tmp_path / "data"), "--port", "18999"],
        cwd=ROOT,
        env=clean | {"COLUMNS": "400"} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = done.stdout + done.stderr
    assert done.returncode != 0
    assert named in told
    assert "Traceback" not in told
    assert "canary" not in told
    assert not (tmp_path / "data" / "postgres").exists()
