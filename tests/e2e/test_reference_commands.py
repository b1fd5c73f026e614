"""The reference's commands, word for word; only the ports become the platform's."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.live_platform import LivePlatform

pytestmark = [
    pytest.mark.ray,
    pytest.mark.postgres,
    pytest.mark.skipif(shutil.which("curl") is None, reason="the reference's commands need curl"),
]

REGISTER = """
curl -X POST http://localhost:8084/api/v1/auth/register \\
  -H "Content-Type: application/json" \\
  -d '{
    "email": "test@example.com",
    "password": "test1234",
    "first_name": "Test",
    "last_name": "User"
  }'
"""
LOGIN = """
curl -X POST http://localhost:8084/api/v1/auth/login \\
  -H "Content-Type: application/json" \\
  -d '{
    "email": "test@example.com",
    "password": "test1234"
  }'
"""
BROWSE = """
curl http://localhost:8000/api/v1/products
"""
ADD_TO_CART = """
curl -X POST http://localhost:3000/api/v1/cart/user_123/items \\
  -H "Content-Type: application/json" \\
  -d '{
    "productId": "prod-laptop-001",
    "sku": "LAPTOP-001",
    "name": "Premium Ultrabook Pro 15",
    "price": 1299.99,
    "quantity": 1
  }'
"""
HEALTH = {
    "catalog": "curl http://localhost:8000/health",
    "inventory": "curl http://localhost:8081/health",
    "cart": "curl http://localhost:3000/health",
    "order": "curl http://localhost:3001/health",
    "payment": "curl http://localhost:8001/health",
    "user": "curl http://localhost:8084/health",
}


class Terminal:
    """Types a command; a `.curlrc` has curl print the status after the body, so that the command stays as it is."""

    def __init__(self, port: int, home: Path) -> None:
        self._port = port
        self._home = home
        (home / ".curlrc").write_text('silent\nshow-error\nwrite-out = "\\n%{http_code}"\n')

    def type(self, command: str) -> tuple[int, Any]:
        """(status, body)."""
        here = re.sub(r"http://localhost:\d+", f"http://localhost:{self._port}", command)
        done = subprocess.run(
            ["sh", "-c", here], env={"PATH": "/usr/local/bin:/usr/bin:/bin", "CURL_HOME": str(self._home)},
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        body, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(body)


@pytest.fixture
def terminal(platform: LivePlatform, tmp_path: Path) -> Terminal:
    return Terminal(platform.port, tmp_path)


def test_register_then_log_in(terminal: Terminal) -> None:
    status, registered = terminal.type(REGISTER)
    assert status == 201
    assert registered["user"]["email"] == "test@example.com"
    assert registered["user"]["role"] == "customer"
    assert terminal.type(REGISTER)[1]["code"] == "email-taken"
    status, session = terminal.type(LOGIN)
    assert status == 200
    assert session["user"] == registered["user"]
    assert session["token_type"] == "Bearer"


def test_browse(terminal: Terminal) -> None:
    status, products = terminal.type(BROWSE)
    assert status == 200
    assert products["meta"]["total"] >= 12
    status, laptop = terminal.type("curl http://localhost:8000/api/v1/products/prod-laptop-001")
    assert (status, laptop["name"], laptop["price"]) == (200, "Premium Ultrabook Pro 15", 1299.99)
    status, categories = terminal.type("curl http://localhost:8000/api/v1/categories")
    names = {category["name"] for category in categories["data"]}
    assert {"Electronics", "Computers", "Peripherals", "Audio", "Gaming"} <= names


def test_add_to_cart_at_the_catalog_s_price(terminal: Terminal) -> None:
    status, cart = terminal.type(ADD_TO_CART.replace("1299.99", "0.01"))  # a client's price is never trusted
    assert status == 201
    assert (cart["id"], cart["items"][0]["unitPrice"], cart["itemCount"]) == ("user_123", 1299.99, 1)
    status, cart = terminal.type(ADD_TO_CART)
    assert (status, cart["items"][0]["quantity"], cart["subtotal"]) == (201, 2, 2599.98)


@pytest.mark.parametrize("service", HEALTH)
def test_health(terminal: Terminal, service: str) -> None:
    status, health = terminal.type(HEALTH[service])
    assert (status, health["status"], health["checks"][service]["status"]) == (200, "healthy", "healthy")
