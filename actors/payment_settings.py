"""Which payment gateway the platform uses."""

from pathlib import Path
from typing import Literal, Self

from pydantic import AnyHttpUrl, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class PaymentSettings(BaseSettings):
    """Settings of the gateway, each from `STAMPEDE_PAYMENTS_<NAME>`. The callbacks' are among those of HTTP.

    Raises `pydantic.ValidationError` for a gateway that cannot work, and in production for one that takes no money.
    """

    model_config = SettingsConfigDict(
        env_prefix="STAMPEDE_PAYMENTS_",
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,  # a key may be in it
    )

    env: Literal["development", "production"] = Field(
        "development", validation_alias="STAMPEDE_ENV", description="as above; production refuses the sandbox"
    )
    gateway: Literal["sandbox", "stripe"] = Field("sandbox", description="who moves the money; the sandbox moves none")
    sandbox_allowed: bool = Field(False, description="let production run on the sandbox: orders are not paid for")
    stripe_api_key: SecretStr | None = Field(None, description="Stripe's secret or restricted key (sk_…, rk_…)")
    stripe_api_key_file: Path | None = Field(None, description="file with Stripe's key")
    stripe_api_base: AnyHttpUrl = Field(
        AnyHttpUrl("https://api.stripe.com"), description="where Stripe's API is; another one in tests"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.gateway == "stripe":
            if self.stripe_api_key is None and self.stripe_api_key_file is None:
                raise ValueError(
                    "the gateway stripe needs STAMPEDE_PAYMENTS_STRIPE_API_KEY or STAMPEDE_PAYMENTS_STRIPE_API_KEY_FILE"
                )
            if not self.api_key().startswith(("sk_", "rk_")):
                raise ValueError("Stripe's key must be a secret or restricted one: it begins with sk_ or rk_")
            if self.env == "production" and self.stripe_api_base.scheme != "https":
                raise ValueError("production refuses a STAMPEDE_PAYMENTS_STRIPE_API_BASE without https")
        elif self.env == "production" and not self.sandbox_allowed:
            raise ValueError(
                "production refuses the sandbox gateway, which takes no money: set STAMPEDE_PAYMENTS_GATEWAY=stripe, "
                "or STAMPEDE_PAYMENTS_SANDBOX_ALLOWED=true to run without payments"
            )
        return self

    def api_key(self) -> str:
        """Stripe's key. Raises `ValueError` if its file cannot be read."""
        if self.stripe_api_key is not None:
            return self.stripe_api_key.get_secret_value().strip()
        assert self.stripe_api_key_file is not None
        try:
            return self.stripe_api_key_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ValueError(f"cannot read {self.stripe_api_key_file}: {error.strerror}") from None
