"""Amounts as Stripe counts them."""

import pytest

from actors.gateway.stripe_amounts import stripe_amount


@pytest.mark.parametrize(
    ("minor", "currency", "amount"),
    [
        (1_299, "USD", 1_299),
        (1_299, "EUR", 1_299),
        (120_000, "JPY", 1_200),
        (120_050, "JPY", None),
        (1_250, "KWD", 12_500),
        (1_200, "ISK", 1_200),
        (1_250, "ISK", None),
        (99_999_999, "USD", 99_999_999),
        (100_000_000, "USD", None),
        (9_999_999_900, "JPY", 99_999_999),
        (9_999_999, "KWD", 99_999_990),
        (10_000_000, "KWD", None),
    ],
)
def test_amounts(minor: int, currency: str, amount: int | None) -> None:
    assert stripe_amount(minor, currency) == amount
