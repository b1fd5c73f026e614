"""Money: integer minor units inside, decimal text outside. Nothing here ever touches a float."""

from decimal import Decimal

MINOR_PER_MAJOR = 100
CENT = Decimal("0.01")
MINOR_MAX = 10**13
"""The largest amount accepted anywhere, in minor units: 100 billion major units."""


def minor_of(amount: Decimal) -> int:
    """`Decimal("1299.99")` → 129999. Raises `ValueError` unless it is finite, ≥ 0, ≤ 10¹¹ and has ≤ 2 decimals."""
    if not amount.is_finite():
        raise ValueError("an amount of money is a finite number")
    if not 0 <= amount <= MINOR_MAX // MINOR_PER_MAJOR:
        raise ValueError("an amount of money lies between 0 and 100000000000")
    # Compared, not multiplied: arithmetic rounds to the context's 28 digits, and would hide a tiny remainder.
    if amount != amount.quantize(CENT):
        raise ValueError("an amount of money has at most two decimals")
    return int(amount.quantize(CENT) * MINOR_PER_MAJOR)


def decimal_of(minor: int) -> Decimal:
    """129999 → `Decimal("1299.99")`, always with two decimals."""
    return Decimal(minor).scaleb(-2)
