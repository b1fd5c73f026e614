"""Production refuses to start with what is fit for development only; secrets are made and kept well."""

import stat
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from rich.console import Console

from actors.payment_settings import PaymentSettings
from serve import ray_node
from serve.auth.secrets import SecretMissing, generated_secret
from serve.auth.tokens import signer_of
from serve.platform.errors import UserError
from serve.platform.folder import DataFolder
from serve.platform.report import TerminalReport
from serve.platform.settings import read_settings
from serve.platform.state import PlatformState
from serve.platform.steps import DATA_DIR_VARIABLE, UpOptions, platform_steps
from serve.platform.welcome import welcome
from serve.settings import ServeSettings, setting_faults, settings_table
from tests.http_app import SECRET, settings_for_tests

SECRETS = "STAMPEDE_AUTH_JWT_SECRET"
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"auth_jwt_secret": None}, SECRETS),
    ({"auth_jwt_secret": "short"}, SECRETS),
    ({"auth_jwt_secret": "x" * 64}, SECRETS),
    ({"auth_jwt_secret": "secretsecretsecretsecretsecretsecretsecret"}, SECRETS),
    ({"auth_jwt_secret": "changemechangemechangemechangeme"}, SECRETS),
    ({"auth_jwt_secret": "your-256-bit-secret-change-me-in-production"}, SECRETS),
    ({"ids_secret": None}, "STAMPEDE_IDS_SECRET"),
    ({"ids_secret": "short"}, "STAMPEDE_IDS_SECRET"),
    ({"auth_demo_users": True}, "STAMPEDE_AUTH_DEMO_USERS"),
    ({"auth_bcrypt_rounds": 9}, "STAMPEDE_AUTH_BCRYPT_ROUNDS"),
    ({"http_cors_origins": "*"}, "STAMPEDE_HTTP_CORS_ORIGINS"),
    ({"http_cors_origins": "https://shop.example,*"}, "STAMPEDE_HTTP_CORS_ORIGINS"),
    ({"http_cors_origins": "https://*.shop.example"}, "STAMPEDE_HTTP_CORS_ORIGINS"),
    ({"http_cors_origins": "https://shop.example/"}, "STAMPEDE_HTTP_CORS_ORIGINS"),
    ({"http_cors_origins": "shop.example"}, "STAMPEDE_HTTP_CORS_ORIGINS"),
    ({"http_cors_origins": "null"}, "STAMPEDE_HTTP_CORS_ORIGINS"),
    ({"limits_enabled": False}, "STAMPEDE_LIMITS_ENABLED"),
    ({"auth_jwt_retired_secrets": {"old": "short"}}, "STAMPEDE_AUTH_JWT_RETIRED_SECRETS"),
    ({"http_trusted_proxies": "everybody"}, "STAMPEDE_HTTP_TRUSTED_PROXIES"),
    ({"auth_access_ttl_s": 0}, "STAMPEDE_AUTH_ACCESS_TTL_S"),
    ({"env": "prod"}, "STAMPEDE_ENV"),
]


@pytest.mark.parametrize(("given", "variable"), REFUSED)
def test_production_refuses_and_names_the_variable(given: dict[str, Any], variable: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as refused:
        settings_for_tests(tmp_path, **{"env": "production", **given})
    said = setting_faults(refused.value, ServeSettings)
    assert variable in said
    for value in given.values():
        assert not isinstance(value, str) or "secret" not in next(iter(given)) or value not in said


def test_production_refuses_a_gateway_that_takes_no_money(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAMPEDE_ENV", "production")
    with pytest.raises(ValidationError) as refused:
        PaymentSettings()
    assert "STAMPEDE_PAYMENTS_GATEWAY" in setting_faults(refused.value, PaymentSettings)


def test_up_says_in_one_line_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAMPEDE_ENV", "production")
    monkeypatch.setenv("STAMPEDE_AUTH_JWT_SECRET", "hunter2")
    with pytest.raises(UserError) as refused:
        read_settings()
    said = str(refused.value)
    assert "STAMPEDE_AUTH_JWT_SECRET must have at least 32 bytes" in said
    assert "hunter2" not in said
    assert "\n" not in said


def test_every_node_has_a_token_that_only_its_owner_reads(tmp_path: Path) -> None:
    plan = ray_node.prepare_node(tmp_path, "127.0.0.1", 18_999)
    ray_node._make_folders(plan)
    variables = ray_node._isolation(plan)
    assert variables["RAY_AUTH_MODE"] == "token"
    assert variables["RAY_AUTH_TOKEN_PATH"] == str(plan.token_path)
    assert len(plan.token_path.read_text()) == 64
    assert stat.S_IMODE(plan.token_path.stat().st_mode) == 0o600
    plan.discard()


def test_production_starts_with_a_good_secret(tmp_path: Path) -> None:
    settings = settings_for_tests(tmp_path, env="production", http_cors_origins="https://shop.example")
    assert settings.production
    assert not settings.docs_served


def test_a_refusal_does_not_show_the_secret(tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as refused:
        settings_for_tests(tmp_path, env="production", auth_jwt_secret="hunter2")
    assert "hunter2" not in str(refused.value)
    assert SECRET not in repr(settings_for_tests(tmp_path))


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAMPEDE_HTTP_CORS_ORIGINS", "https://a.example, https://b.example")
    monkeypatch.setenv("STAMPEDE_LIMITS_LOGIN_ACCOUNT_PER_MIN", "7")
    settings = ServeSettings()
    assert settings.http_cors_origins == ("https://a.example", "https://b.example")
    assert settings.limits_login_account_per_min == 7


def test_every_setting_is_explained() -> None:
    assert all(name.startswith("STAMPEDE_") and meaning for name, _, meaning in settings_table())


def test_a_secret_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    first = generated_secret(tmp_path, "jwt-k1")
    assert first == generated_secret(tmp_path, "jwt-k1")
    assert len(first) >= 32
    assert stat.S_IMODE((tmp_path / "secrets" / "jwt-k1").stat().st_mode) == 0o600


def test_a_secret_file_must_be_there_and_long_enough(tmp_path: Path) -> None:
    path = tmp_path / "key"
    settings = ServeSettings(auth_jwt_secret_file=path)
    with pytest.raises(SecretMissing, match="cannot read"):
        signer_of(settings)
    path.write_text("short\n")
    with pytest.raises(SecretMissing, match="shorter"):
        signer_of(settings)
    path.write_text(SECRET + "\n")
    signer_of(settings)


def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **variables: str) -> None:
    """What `up` looks at before it starts anything."""
    for name, value in {"STAMPEDE_ENV": "production", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(tmp_path))
    options = UpOptions(data_dir=tmp_path, host="127.0.0.1", port=8_000, sample_data=False)
    platform_steps(DataFolder(tmp_path), options, TerminalReport(Console(file=StringIO())))


def test_a_wrong_secret_is_told_before_the_gateway(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="STAMPEDE_AUTH_JWT_SECRET"):
        started(monkeypatch, tmp_path, STAMPEDE_AUTH_JWT_SECRET="short")


def test_production_refuses_ray_without_a_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = {
        "STAMPEDE_AUTH_JWT_SECRET": SECRET,
        "STAMPEDE_IDS_SECRET": SECRET,
        "STAMPEDE_PAYMENTS_SANDBOX_ALLOWED": "true",
    }
    started(monkeypatch, tmp_path, **given, RAY_AUTH_MODE="token")
    with pytest.raises(UserError, match="RAY_AUTH_MODE"):
        started(monkeypatch, tmp_path, **given, RAY_AUTH_MODE="disabled")


@pytest.mark.parametrize("demo_accounts", [True, False])
def test_the_greeting_tells_of_demo_accounts_where_there_are_any(demo_accounts: bool) -> None:
    state = PlatformState(
        pid=1,
        start_mark="",
        host="127.0.0.1",
        port=8_000,
        urls={"api": "http://127.0.0.1:8000"},
        version="1",
        database="embedded",
        phase="ready",
        started_at_ms=1,
    )
    console = Console(file=StringIO(), width=200)
    welcome(console, state, demo_accounts=demo_accounts, stop_with="Ctrl-C")
    said = console.file.getvalue()
    assert ("admin123" in said, "customer123" in said) == (demo_accounts, demo_accounts)
    assert "/api/v1/products" in said
