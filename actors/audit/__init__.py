"""Checks the invariants of money and stock from what the stores hold (see docs: I1 to I13)."""
