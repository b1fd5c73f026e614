"""Settings of the HTTP side, each from `STAMPEDE_<AREA>_<NAME>_<UNIT>`."""

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

SECRET_BYTES_MIN = 32
PLACEHOLDERS = ("changeme", "change-me", "change_me", "your-secret", "your_secret", "your-256-bit", "secret-key-here")
"""What stands in the keys of examples."""
"""HS256 keys shorter than the hash give less than its strength (RFC 7518, 3.2)."""

BCRYPT_ROUNDS_PRODUCTION_MIN = 10

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?")


class ServeSettings(BaseSettings):
    """Everything `serve` can be told. Production mode refuses to start with what is fit for development only."""

    model_config = SettingsConfigDict(env_prefix="STAMPEDE_", extra="ignore", frozen=True)

    env: Literal["development", "production"] = Field("development", description="what the platform runs for")
    data_dir: Path = Field(Path(".stampede"), description="folder of generated secrets (development)")

    auth_jwt_secret: SecretStr | None = Field(None, description="current signing key, at least 32 bytes")
    auth_jwt_secret_file: Path | None = Field(None, description="file with the current signing key")
    auth_jwt_kid: str = Field("k1", pattern=r"^[A-Za-z0-9_-]{1,32}$", description="id of the current signing key")
    auth_jwt_retired_secrets: dict[str, SecretStr] = Field(
        default_factory=dict, description="kid -> key; these still verify, and no longer sign (JSON)"
    )
    ids_secret: SecretStr | None = Field(
        None, description="key of order ids, at least 32 bytes; never change it once there are orders"
    )
    ids_secret_file: Path | None = Field(None, description="file with the key of order ids")
    auth_access_ttl_s: int = Field(900, ge=1, le=86_400, description="life of an access token")
    auth_refresh_ttl_s: int = Field(2_592_000, ge=1, le=31_536_000, description="life of a refresh token")
    auth_service_ttl_s: int = Field(2_592_000, ge=1, le=31_536_000, description="life of a service token")
    auth_password_version_age_ms: int = Field(
        800, ge=0, le=1_000, description="how old a cached password version may be"
    )
    auth_bcrypt_rounds: int = Field(10, ge=4, le=16, description="bcrypt cost: 2^n; 10 is some 60 ms of one core")
    auth_bcrypt_threads_max: int = Field(2, ge=1, le=64, description="password checks at one time")
    auth_bcrypt_queue_max: int = Field(200, ge=0, le=10_000, description="password checks that may wait; then 503")
    auth_demo_users: bool = Field(True, description="make the demo accounts (development only)")

    limits_enabled: bool = Field(True, description="rate limits; off only in benchmarks")
    limits_login_account_per_min: int = Field(10, ge=1, description="logins per account")
    limits_login_address_per_min: int = Field(60, ge=1, description="logins per client address")
    limits_requests_per_10s: int = Field(2_000, ge=1, description="requests per principal, or address when anonymous")

    http_body_bytes_max: int = Field(1_048_576, ge=1_024, description="largest request body")
    http_body_timeout_ms: int = Field(10_000, ge=100, le=60_000, description="time that a whole body has to arrive")
    http_cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="exact origins that may call from a browser, separated by commas"
    )
    http_trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="addresses or networks whose X-Forwarded-For is believed, separated by commas"
    )
    http_ingress_address: str | None = Field(
        None, description="address of the platform's own ingress proxy; set by `up` where it starts one"
    )
    http_docs: bool | None = Field(None, description="serve /docs and /openapi.json (default: in development)")
    http_slow_request_ms: int = Field(1_000, ge=1, le=60_000, description="requests that take longer are logged")
    http_log_requests: bool = Field(False, description="log every request (at most 50 lines a second)")
    http_metrics: bool | None = Field(None, description="serve /metrics (default: in development)")

    catalog_currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="the shop's one currency (ISO 4217)")
    catalog_stock_age_ms: int = Field(1_000, ge=0, le=10_000, description="how old stock in product lists may be")
    inventory_low_stock_max: int = Field(
        5, ge=0, le=1_000_000, description="administrators see a SKU as low when at most so many can be bought"
    )
    health_check_timeout_ms: int = Field(1_000, ge=10, le=10_000, description="time a store has to answer /health")

    payments_webhook_secret: SecretStr | None = Field(
        None, description="the payment gateway's endpoint secret, with which it signs its callbacks (Stripe: whsec_…)"
    )
    payments_webhook_secret_file: Path | None = Field(None, description="file with the endpoint secret")
    payments_webhook_tolerance_s: int = Field(300, ge=1, le=3_600, description="how old a signature may be")

    ask_timeout_ms: int = Field(2_000, ge=10, le=10_000, description="deadline of a command to an entity")
    orders_place_timeout_ms: int = Field(8_000, ge=10, le=10_000, description="deadline of POST /orders")

    @property
    def production(self) -> bool:
        """Whether this is production mode."""
        return self.env == "production"

    @property
    def proxies_believed(self) -> tuple[str, ...]:
        """Addresses and networks whose X-Forwarded-For counts: the operator's proxies and our own ingress."""
        own = (self.http_ingress_address,) if self.http_ingress_address else ()
        return (*self.http_trusted_proxies, *own)

    @property
    def docs_served(self) -> bool:
        """Whether /docs and /openapi.json are there."""
        return not self.production if self.http_docs is None else self.http_docs

    @property
    def metrics_served(self) -> bool:
        """Whether /metrics is there."""
        return not self.production if self.http_metrics is None else self.http_metrics

    @model_validator(mode="before")
    @classmethod
    def _split_lists(cls, values: dict[str, object]) -> dict[str, object]:
        for name in ("http_cors_origins", "http_trusted_proxies"):
            given = values.get(name)
            if isinstance(given, str):
                values[name] = tuple(part.strip() for part in given.split(",") if part.strip())
        return values

    @model_validator(mode="after")
    def _check(self) -> Self:
        for network in self.proxies_believed:
            _check_network(network)
        for kid, secret in self.auth_jwt_retired_secrets.items():
            _check_secret(f"STAMPEDE_AUTH_JWT_RETIRED_SECRETS: key {kid}", secret)
        if self.auth_jwt_secret is not None:
            _check_secret("STAMPEDE_AUTH_JWT_SECRET", self.auth_jwt_secret)
        if self.ids_secret is not None:
            _check_secret("STAMPEDE_IDS_SECRET", self.ids_secret)
        if self.payments_webhook_secret is not None:
            _check_secret("STAMPEDE_PAYMENTS_WEBHOOK_SECRET", self.payments_webhook_secret)
        if "*" in self.http_cors_origins:
            raise ValueError("STAMPEDE_HTTP_CORS_ORIGINS must list exact origins, never *")
        for origin in self.http_cors_origins:
            if _ORIGIN.fullmatch(origin) is None:
                # A browser compares the text: with a path, a slash or a capital it would never be the same.
                raise ValueError(f"STAMPEDE_HTTP_CORS_ORIGINS: {origin} is not of the form https://shop.example[:port]")
        if self.production:
            self._check_production()
        return self

    def _check_production(self) -> None:
        if self.auth_jwt_secret is None and self.auth_jwt_secret_file is None:
            raise ValueError("production needs STAMPEDE_AUTH_JWT_SECRET or STAMPEDE_AUTH_JWT_SECRET_FILE")
        if self.ids_secret is None and self.ids_secret_file is None:
            # Made by itself on each of two nodes, it would make two orders of one Idempotency-Key.
            raise ValueError("production needs STAMPEDE_IDS_SECRET or STAMPEDE_IDS_SECRET_FILE")
        if self.auth_demo_users and "auth_demo_users" in self.model_fields_set:
            raise ValueError("production refuses demo users: unset STAMPEDE_AUTH_DEMO_USERS")
        if not self.limits_enabled:
            raise ValueError("production refuses to run without rate limits: unset STAMPEDE_LIMITS_ENABLED")
        if self.auth_bcrypt_rounds < BCRYPT_ROUNDS_PRODUCTION_MIN:
            least = BCRYPT_ROUNDS_PRODUCTION_MIN
            raise ValueError(f"production refuses a STAMPEDE_AUTH_BCRYPT_ROUNDS below {least}")


def setting_faults(error: ValidationError, settings: type[BaseSettings]) -> str:
    """What is wrong with settings of this class, by variable. What was given is left out: it may be a secret."""
    prefix = str(settings.model_config.get("env_prefix", ""))
    return "; ".join(
        f"{_variable(prefix, each['loc'])} {each['msg'].removeprefix('Value error, ')}".strip()
        for each in error.errors(include_input=False, include_url=False)
    )


def _variable(prefix: str, location: tuple[int | str, ...]) -> str:
    if not location:
        return ""
    name = str(location[0])
    return name if name.isupper() else f"{prefix}{name.upper()}"


def _check_network(network: str) -> None:
    try:
        ip_network(network)
    except ValueError:
        raise ValueError(f"STAMPEDE_HTTP_TRUSTED_PROXIES: {network} is no address and no network") from None


def _check_secret(name: str, secret: SecretStr) -> None:
    value = secret.get_secret_value()
    if len(value.encode()) < SECRET_BYTES_MIN:
        raise ValueError(f"{name} must have at least {SECRET_BYTES_MIN} bytes")
    if any(word in value.lower() for word in PLACEHOLDERS):
        raise ValueError(f"{name} looks like the placeholder of an example: generate a random one")
    if len(set(value)) < SECRET_BYTES_MIN // 4:
        raise ValueError(f"{name} repeats a few characters: generate a random one")


def settings_table() -> list[tuple[str, str, str]]:
    """(variable, default, meaning) of every setting, for the docs."""
    rows: list[tuple[str, str, str]] = []
    for name, field in ServeSettings.model_fields.items():
        default = "" if field.default_factory is not None else str(field.default)
        rows.append((f"STAMPEDE_{name.upper()}", default, field.description or ""))
    return rows
