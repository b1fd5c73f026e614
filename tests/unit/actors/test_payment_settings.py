"""Which gateway is used, and which the start refuses."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from actors.gateway.choice import open_gateway
from actors.gateway.sandbox import SandboxGateway
from actors.payment_settings import PaymentSettings
from persistence.stores import open_memory_stores

KEY = "sk_test_canary-of-a-key"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STAMPEDE_ENV", "STAMPEDE_PAYMENTS_GATEWAY", "STAMPEDE_PAYMENTS_SANDBOX_ALLOWED"):
        monkeypatch.delenv(name, raising=False)


def settings(monkeypatch: pytest.MonkeyPatch, **given: str) -> PaymentSettings:
    for name, value in given.items():
        monkeypatch.setenv(name if name == "STAMPEDE_ENV" else f"STAMPEDE_PAYMENTS_{name}", value)
    return PaymentSettings()


async def test_development_has_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    stores = open_memory_stores(lambda: 0)
    assert isinstance(open_gateway(settings(monkeypatch), stores.ledger, lambda: 0), SandboxGateway)


async def test_stripe_is_chosen_with_its_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from actors.gateway.stripe_gateway import StripeGateway

    (tmp_path / "key").write_text(f"{KEY}\n")
    chosen = settings(monkeypatch, GATEWAY="stripe", STRIPE_API_KEY_FILE=str(tmp_path / "key"))
    assert chosen.api_key() == KEY
    gateway = open_gateway(chosen, open_memory_stores(lambda: 0).ledger, lambda: 0)
    assert isinstance(gateway, StripeGateway)
    await gateway.close()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"STAMPEDE_ENV": "production"}, "STAMPEDE_PAYMENTS_SANDBOX_ALLOWED"),
        ({"GATEWAY": "stripe"}, "STAMPEDE_PAYMENTS_STRIPE_API_KEY"),
        ({"GATEWAY": "stripe", "STRIPE_API_KEY": "pk_test_canary"}, "sk_"),
        ({"GATEWAY": "stripe", "STRIPE_API_KEY_FILE": "/nowhere/key"}, "/nowhere/key"),
        ({"GATEWAY": "paypal"}, "gateway"),
        (
            {
                "STAMPEDE_ENV": "production",
                "GATEWAY": "stripe",
                "STRIPE_API_KEY": KEY,
                "STRIPE_API_BASE": "http://127.0.0.1:1",
            },
            "STAMPEDE_PAYMENTS_STRIPE_API_BASE",
        ),
    ],
)
def test_what_is_refused_is_named_and_no_key_is_shown(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], named: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(monkeypatch, **given)
    assert named in str(refused.value)
    assert "canary" not in str(refused.value)


def test_production_runs_on_what_takes_money_or_on_request_on_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    paid = settings(monkeypatch, STAMPEDE_ENV="production", GATEWAY="stripe", STRIPE_API_KEY=KEY)
    assert paid.gateway == "stripe"
    assert KEY not in repr(paid)
    assert settings(monkeypatch, GATEWAY="sandbox", SANDBOX_ALLOWED="true").gateway == "sandbox"
