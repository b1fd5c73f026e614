"""Generated requests, well-formed and not, against the OpenAPI document: the answers must be what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from serve.answers import answer
from serve.schemas.inventory import StockOut
from tests.served_shop import ServedShop, served_shop
from tests.shop_world import ADDRESS, CARD, Headers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SEED = int(os.environ.get("STAMPEDE_SCHEMATHESIS_SEED", "20260131"))
CONFIG = Path(__file__).with_name("schemathesis.toml")
RUN_TIMEOUT_S = 580
ORDERS = 12


@pytest.mark.parametrize("phases", ["examples,coverage", "fuzzing,stateful"])
@pytest.mark.parametrize("caller", ["admin", "anonymous"])
def test_every_answer_is_what_the_document_says(tmp_path: Path, caller: str, phases: str) -> None:
    # Tokens outlive the run, and nobody is limited: what is tested is not time.
    with served_shop(tmp_path / "data", auth_access_ttl_s=3_600) as shop:
        headers = shop.admin if caller == "admin" else {}
        config = tmp_path / "schemathesis.toml"
        config.write_text(CONFIG.read_text(encoding="utf-8") + dictionaries(shop), encoding="utf-8")
        done = run(shop, config, headers, phases)
    print(done.stdout)
    assert done.returncode == 0, f"seed {SEED}\n{done.stdout}\n{done.stderr}"
    operations, cases = told(done.stdout)
    assert operations > 40
    assert cases > 10 * operations


def test_a_broken_promise_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_text_for_a_number(shown: StockOut, **headers: Any) -> Response:
        return answer(shown.model_dump(by_alias=True) | {"onHand": "many"}, **headers)

    with served_shop(tmp_path / "data") as shop:
        config = tmp_path / "schemathesis.toml"
        config.write_text(CONFIG.read_text(encoding="utf-8") + dictionaries(shop), encoding="utf-8")
        monkeypatch.setattr("serve.api.inventory.answer", with_text_for_a_number)
        done = run(shop, config, {}, "coverage", "--include-path", "/api/v1/inventory/{sku}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Response violates schema" in done.stdout
    assert '"many" is not of type "integer"' in done.stdout


def told(output: str) -> tuple[int, int]:
    """(operations that were tested, cases that were generated), as the summary has them."""
    operations = re.search(r"Tested: (\d+)", output)
    cases = re.search(r"(\d+) generated", output)
    assert operations is not None, output
    assert cases is not None, output
    return int(operations[1]), int(cases[1])


def run(
    shop: ServedShop, config: Path, headers: Headers, phases: str, *options: str
) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config)]
    command += ["run", f"{shop.url}/openapi.json", "--phases", phases, "--seed", str(SEED), "--no-color"]
    command += options
    for name, value in headers.items():
        command += ["--header", f"{name}:{value}"]
    return subprocess.run(
        command,
        cwd=config.parent,
        # Never through a proxy: the shop is on this machine.
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )


def dictionaries(shop: ServedShop) -> str:
    """Orders in several statuses, for the ids that generated requests name: at random they would name none."""
    with httpx.Client(base_url=f"{shop.url}/api/v1", headers=shop.admin, trust_env=False) as client:
        stock = client.post("/inventory/LAPTOP-001/adjust", json={"delta": 1_000_000, "reason": "for the test"})
        assert stock.status_code == 200, stock.text
        orders = []
        for n in range(ORDERS):
            body = {
                "userId": "guest-1",
                "email": "eve@example.net",
                "items": [{"sku": "LAPTOP-001", "quantity": 1}],
                "shippingAddress": ADDRESS,
                **({} if n % 4 == 3 else {"paymentMethod": CARD}),
            }
            placed = client.post("/orders", json=body)
            assert placed.status_code == 201, placed.text
            orders.append(placed.json())
        for order in orders[::4]:
            assert client.post(f"/orders/{order['id']}/ship").status_code == 200
    payments = [order["paymentId"] for order in orders if order["paymentId"]]
    return (
        f"\n[dictionaries.orders]\nvalues = {[order['id'] for order in orders]}\n"
        f"\n[dictionaries.payments]\nvalues = {payments}\n"
    )
