"""Money is parsed exactly, once, at the edge."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.domain.money import MINOR_MAX, decimal_of, minor_of


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("0", 0),
        ("-0", 0),
        ("0.00", 0),
        ("0.01", 1),
        ("1299.99", 129_999),
        ("1.5", 150),
        ("1.10000", 110),
        ("1e3", 100_000),
        ("0E+20", 0),
        ("100000000000", MINOR_MAX),
    ],
)
def test_an_amount_becomes_minor_units(text: str, minor: int) -> None:
    assert minor_of(Decimal(text)) == minor


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "sNaN",
        "Infinity",
        "-Infinity",
        "-0.01",
        "0.001",
        "1.005",
        "100000000000.01",
        "1e30",
        "1e999999",
        "1e-999999",
        "0.0100000000000000000000000000000000001",
        "1.00000000000000000000000000000000000000001",
    ],
)
def test_what_is_not_an_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="an amount of money"):
        minor_of(Decimal(text))


@given(st.integers(0, MINOR_MAX))
def test_minor_units_survive_the_way_out_and_in(minor: int) -> None:
    text = f"{decimal_of(minor):f}"
    assert len(text.split(".")[1]) == 2
    assert minor_of(Decimal(text)) == minor


@given(st.decimals(min_value=0, max_value=10**11, allow_nan=False, places=2))
def test_no_rounding_of_any_context_matters(amount: Decimal) -> None:
    exact = minor_of(amount)
    with localcontext() as context:
        context.prec = 40
        assert minor_of(amount) == exact == int(amount * 100)
