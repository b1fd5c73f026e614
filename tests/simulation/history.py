"""What clients asked and what they were told: the outside view that the invariants compare with the stores."""

from dataclasses import dataclass, field
from typing import Any, Literal

from actors.domain.decision import Rejected
from actors.domain.order import OrderAnswer

Fate = Literal["answered", "never-ran", "unknown"]
UNSETTLED = frozenset({"try-again", "attempt-over", "attempt-closed", "attempt-superseded"})
"""Refusals that say nothing: they become 503, and the same request may still succeed."""
NOT_REMEMBERED = frozenset(
    {
        "insufficient-stock",
        "price-changed",
        "empty-cart",
        "cart-checked-out",
        "unknown-sku",
        "mixed-currencies",
        "amount-too-large",
    }
)
"""Refusals of a placement that left nothing behind: the same key may be tried again."""


@dataclass(slots=True)
class Sent:
    """One request and its end. Times in ms of the database; `not_after_ms` is the last moment it may run."""

    sent_ms: int
    not_after_ms: int
    fate: Fate = "unknown"
    reply: Any = None
    code: str = ""
    ended_ms: int = 0

    @property
    def final(self) -> bool:
        """Whether the client has a reason to stop asking."""
        return self.fate == "answered" and not (isinstance(self.reply, Rejected) and self.reply.code in UNSETTLED)

    @property
    def accepted(self) -> bool:
        """202: it stands and settles by itself."""
        return isinstance(self.reply, OrderAnswer) and self.reply.accepted

    @property
    def refused(self) -> bool:
        return self.final and isinstance(self.reply, Rejected)

    @property
    def done(self) -> bool:
        return self.final and not self.refused


@dataclass(slots=True)
class Deed:
    """One thing that a client wants, by its Idempotency-Key or command id; every repeat of it is one more `Sent`."""

    client: str
    entity_type: str
    entity_id: str
    command: Any
    command_id: str
    epoch: int = 0
    """That of its shard's journal when it was first sent."""
    sent: list[Sent] = field(default_factory=list)

    @property
    def answer(self) -> Sent | None:
        """The last final answer."""
        return next((sent for sent in reversed(self.sent) if sent.final), None)

    @property
    def done(self) -> bool:
        return any(sent.done for sent in self.sent)

    @property
    def never_ran(self) -> bool:
        """Whether every attempt is known not to have run or to have been refused."""
        return all(sent.fate == "never-ran" or sent.refused for sent in self.sent)

    @property
    def refused_for_good(self) -> bool:
        """Whether the client was told no, and nothing of the deed can be under way any more."""
        last = self.sent[-1] if self.sent else None
        if last is None or not last.refused or self.done or any(sent.accepted for sent in self.sent):
            return False
        return all(other.final or other.not_after_ms < last.sent_ms for other in self.sent[:-1])

    def __str__(self) -> str:
        return f"{type(self.command).__name__} of {self.entity_type} {self.entity_id} by {self.client}"


@dataclass(slots=True)
class History:
    """Everything of one run, in the order in which it began."""

    deeds: list[Deed] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)
    """Promises that were broken at the moment of an answer."""
    seen: dict[tuple[str, str], int] = field(default_factory=dict)
    """The newest version of each entity that any client was told."""
    carts: dict[str, list[Any]] = field(default_factory=dict)
    """What happened to each cart, as its only user knows it (see `cart_model`)."""

    def of(self, *kinds: type) -> list[Deed]:
        return [deed for deed in self.deeds if isinstance(deed.command, kinds)]


def version_of(reply: Any) -> tuple[str, int] | None:
    """(entity type, version) that a reply shows."""
    order, cart = getattr(reply, "order", None), getattr(reply, "cart", None)
    if order is not None:
        return "order", order.version
    if cart is not None:
        return "cart", cart.version
    if type(reply).__name__ == "StockLevel":
        return "sku", reply.version
    return None
