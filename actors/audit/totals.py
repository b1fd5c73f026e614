"""I12: an order's total is the sum of its lines at the catalog's price versions, plus tax and shipping."""

from collections.abc import Mapping

from actors.audit.facts import Findings
from actors.domain.order import Order

PriceVersions = Mapping[tuple[str, int], tuple[int, str]]
"""(SKU, price version) -> (minor units, currency)."""


def check_total(state: Order, prices: PriceVersions) -> Findings:
    """The order as it was created."""
    findings, amounts, subject = Findings(), state.amounts, f"order {state.id}"
    findings.checked["I12"] += 1
    for line in state.lines:
        price = prices.get((line.sku, line.price_version))
        if price is None:
            findings.breach("I12", subject, f"{line.sku} has no price version {line.price_version}")
        elif price != (line.unit_price, amounts.currency):
            detail = f"{line.sku} was sold at {line.unit_price} {amounts.currency}, its price version says {price}"
            findings.breach("I12", subject, detail)
        if line.quantity <= 0:
            findings.breach("I12", subject, f"{line.quantity} units of {line.sku}")
    subtotal = sum(line.unit_price * line.quantity for line in state.lines)
    if amounts.subtotal != subtotal:
        findings.breach("I12", subject, f"its subtotal is {amounts.subtotal}, its lines come to {subtotal}")
    if amounts.tax < 0 or amounts.shipping < 0:
        findings.breach("I12", subject, f"tax {amounts.tax}, shipping {amounts.shipping}")
    return findings
