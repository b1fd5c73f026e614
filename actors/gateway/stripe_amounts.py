"""Amounts as Stripe counts them. The platform has two decimals in every currency; Stripe has those of the currency."""

from typing import Final

ZERO_DECIMALS: Final = frozenset(
    "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split()  # noqa: SIM905 - a table of codes
)
THREE_DECIMALS: Final = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
WHOLE_UNITS: Final = frozenset({"ISK", "UGX"})
"""Counted with two decimals, which must be zero."""
AMOUNT_MAX: Final = 99_999_999
"""Stripe takes at most eight digits."""


def stripe_amount(amount_minor: int, currency: str) -> int | None:
    """`amount_minor` (1/100 units) in the smallest unit that Stripe has of `currency`; None if it cannot be charged.

    12.50 JPY cannot, nor what has more than eight digits.
    """
    if not is_payable(amount_minor, currency):
        return None
    amount = amount_minor
    if currency in ZERO_DECIMALS:
        amount = amount_minor // 100
    elif currency in THREE_DECIMALS:
        amount = amount_minor * 10
    return amount if amount <= AMOUNT_MAX else None


def is_payable(amount_minor: int, currency: str) -> bool:
    """Whether there is such an amount of this currency at all: of 12.50 JPY the half is none."""
    return not amount_minor % 100 or currency not in ZERO_DECIMALS | WHOLE_UNITS
