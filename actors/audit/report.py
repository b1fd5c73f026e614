"""What an audit came to."""

from collections import Counter
from collections.abc import Mapping

import msgspec

from actors.audit.facts import INVARIANTS, Breach, Findings, OrderFact

SHOWN_MAX = 20


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of what was checked, and the breaches. `running`: a host lives; else deadlines stand still."""

    checked: dict[str, int]
    breaches: tuple[Breach, ...]
    as_of_ms: int
    running: bool
    payments_unknown: int = 0
    """Orders whose payment is unknown: exempt from deadlines, as long as the gateway does not know."""
    unknown_orders: tuple[str, ...] = ()
    """The first of them."""
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether every invariant holds."""
        return not self.breaches

    def by_invariant(self) -> Mapping[str, int]:
        """The number of breaches of each invariant that has any."""
        return Counter(breach.invariant for breach in self.breaches)


def report_of(findings: Findings, orders: Mapping[str, OrderFact], *, as_of_ms: int, running: bool) -> Report:
    """The report of one pass."""
    unknown = [fact.id for fact in orders.values() if fact.payment_status == "unknown"]
    return Report(
        checked={invariant: findings.checked[invariant] for invariant in INVARIANTS},
        breaches=tuple(findings.breaches),
        as_of_ms=as_of_ms,
        running=running,
        payments_unknown=len(unknown),
        unknown_orders=tuple(unknown[:SHOWN_MAX]),
    )


def confirmed(first: Report, second: Report) -> Report:
    """The second pass, without what was only in the making: a settling breach counts if both passes found it."""
    found = {(breach.invariant, breach.subject) for breach in first.breaches}
    kept = tuple(
        breach for breach in second.breaches if not breach.settling or (breach.invariant, breach.subject) in found
    )
    return msgspec.structs.replace(second, breaches=kept)
