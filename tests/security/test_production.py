"""Production refuses to start with what is fit for development only; secrets are made and kept well."""

import stat
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from serve.auth.secrets import SecretMissing, generated_secret
from serve.auth.tokens import signer_of
from serve.settings import ServeSettings, settings_table
from tests.http_app import SECRET, World, open_world, settings_for_tests


@pytest.mark.parametrize(
    "given",
    [
        {"auth_jwt_secret": None},
        {"auth_jwt_secret": "short"},
        {"auth_jwt_secret": "secretsecretsecretsecretsecretsecretsecret"},
        {"auth_jwt_secret": "changemechangemechangemechangeme"},
        {"auth_demo_users": True},
        {"http_cors_origins": "*"},
        {"http_cors_origins": "https://shop.example,*"},
        {"limits_enabled": False},
        {"auth_jwt_retired_secrets": {"old": "short"}},
        {"http_trusted_proxies": "everybody"},
    ],
)
def test_production_refuses(given: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        settings_for_tests(tmp_path, env="production", **given)


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


async def test_every_answer_has_the_browser_headers(world: World) -> None:
    for path in ("/health", "/nope", "/api/v1/users/profile", "/docs"):
        headers = (await world.client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe-inline" not in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert "strict-transport-security" not in headers


async def test_hsts_in_production(tmp_path: Path) -> None:
    async with open_world(tmp_path, env="production") as world:
        assert "max-age" in (await world.client.get("/health")).headers["strict-transport-security"]
