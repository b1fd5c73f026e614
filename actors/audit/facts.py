"""What an audit holds against each other: the compact facts that remain when journals have been folded.

Times are ms since the epoch, by the database's clock; money is minor units.
"""

from collections import Counter
from dataclasses import dataclass, field

import msgspec

from actors.domain.inventory import CHECK_EVERY_MS, Hold

INVARIANTS: dict[str, str] = {
    "I1": "stock is conserved: received + returned = on hand + sold",
    "I2": "reserved = the sum of the open reservations",
    "I3": "stock is never negative, nor reserved beyond what is there",
    "I4": "one capture an order, of its total; a cancelled order is refunded",
    "I5": "the gateway's ledger and the payments match",
    "I6": "every line of a paid order has its reservation",
    "I7": "no reservation outlives its order's end, or its own time",
    "I8": "journals without gaps or repeats, epochs that never fall",
    "I9": "fold of the journal = state row = snapshot + tail = read model",
    "I11": "no saga and no unpaid order past its deadline",
    "I12": "order totals add up, at the catalog's price versions",
    "I13": "only legal transitions",
}
"""What is checked. I10 and I14 to I19 need more than the stores: the test suites check those."""


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """An invariant that does not hold, for one thing.

    `settling`: two services were compared, which may have been read in the middle of something. It counts once it
    is found again.
    """

    invariant: str
    subject: str
    detail: str
    settling: bool = False


@dataclass(slots=True)
class Findings:
    """What a part of the audit looked at, and what was wrong."""

    checked: Counter[str] = field(default_factory=Counter)
    breaches: list[Breach] = field(default_factory=list)

    def breach(self, invariant: str, subject: str, detail: str, *, settling: bool = False) -> None:
        """Note a breach."""
        self.breaches.append(Breach(invariant=invariant, subject=subject, detail=detail, settling=settling))

    def add(self, other: "Findings") -> None:
        """Take over what another part found."""
        self.checked.update(other.checked)
        self.breaches.extend(other.breaches)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grace:
    """How long what must happen may take before its absence is a breach (ms)."""

    fresh_ms: int = 2_000
    """The three journals' heads are read one after the other: what is younger is not compared across them."""
    settle_ms: int = 30_000
    """What an order's end sets in motion elsewhere (commit, release, record), a failover included."""
    saga_ms: int = 60_000
    """An order with a charge, a cancel or a refund under way."""
    unpaid_ms: int = 30_000
    """An unpaid order past its expiry."""
    external_ms: int = 30_000
    """A reservation made through the API past its expiry."""
    orphan_ms: int = CHECK_EVERY_MS + 30_000
    """An order's reservation past its expiry whose order never came: it asks at its expiry, then every minute."""


LIVE = Grace()
DRAINED = Grace(fresh_ms=0, settle_ms=0, saga_ms=0, unpaid_ms=5_000, external_ms=5_000)
"""For a platform that was let come to rest: nothing is under way any more."""


class OrderFact(msgspec.Struct, frozen=True, kw_only=True):
    """An order at the head of its journal."""

    id: str
    status: str
    total: int
    currency: str
    lines: tuple[tuple[str, int], ...]
    """(SKU, quantity)."""
    attempt_ms: int
    cancel_requested: bool
    paid: bool
    payment_status: str
    """Of the newest attempt; "" without one."""
    was_confirmed: bool
    attempts: tuple[tuple[str, str], ...]
    """(gateway key, status), every payment attempt."""
    refunds: tuple[tuple[str, int, bool], ...]
    """(gateway key, amount, done)."""
    created_at_ms: int
    decided_at_ms: int
    """When its status last changed."""
    updated_at_ms: int
    expires_at_ms: int
    in_flight: bool
    """Whether something is left to do now."""
    due_ms: int | None
    """When it wants to be woken."""
    unchanged: bool
    """Whether it had no event while rows and timers were read."""
    found_by_scan: bool
    """Whether a new owner, reading from the low-water mark, meets it."""

    @property
    def paying(self) -> bool:
        """Whether money may be moving."""
        return self.payment_status in ("open", "unknown")

    @property
    def sold(self) -> bool:
        """Whether its units are the customer's."""
        return self.status in ("confirmed", "shipped", "delivered", "refunded")

    @property
    def cancelling(self) -> bool:
        """Whether a cancel was requested and is not complete."""
        return self.cancel_requested and self.status != "cancelled"


class PaymentFact(msgspec.Struct, frozen=True, kw_only=True):
    """A payment at the head of its journal."""

    order_id: str
    status: str
    amount: int
    captured: int
    refunded: int
    currency: str
    captures: tuple[str, ...]
    """Gateway keys of every capture that was journaled."""
    failed: str
    """The gateway key that failed last, if that is where it stands."""
    refunds: tuple[tuple[str, int], ...]
    """(gateway key, amount)."""

    @property
    def was_captured(self) -> bool:
        """Whether money was taken."""
        return bool(self.captures)


@dataclass(slots=True)
class LineFact:
    """What one SKU's journal says of one order: its open hold, and what was sold and came back."""

    hold: Hold | None = None
    sold: int = 0
    commits: int = 0
    returns: int = 0
    returned_before: bool = False
    """Whether it came back before the rows of the returns were read."""


LineKey = tuple[str, str]
"""(order id, SKU)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The time as of which deadlines are judged, and the patience with them."""

    as_of_ms: int
    grace: Grace = LIVE

    def past(self, since_ms: int, grace_ms: int) -> bool:
        """Whether more than the grace has passed since."""
        return self.as_of_ms > since_ms + grace_ms
