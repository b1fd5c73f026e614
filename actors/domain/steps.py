"""What a saga may ask for, as values. The runtime performs a step only after the commit of the events behind it.

A saga is three pure functions over its volatile `progress`: `next_step(state, progress, context)` says what is
to be done now, the runtime does it, `record(progress, step, result)` remembers the result. What must
survive a crash is in the entity's journaled state; `next_step` on a fresh progress carries on from there.
"""

from typing import Any, TypeAlias

import msgspec


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A command to another entity, with its natural key as `command_id`. Result: its reply, or `Failed`."""

    entity_type: str
    entity_id: str
    command: Any
    command_id: str


class AskAll(msgspec.Struct, frozen=True):
    """Several commands at once. Result: a tuple of replies or `Failed`, in the same order. `label`: what for."""

    asks: tuple[Ask, ...]
    label: str = ""


class Decide(msgspec.Struct, frozen=True):
    """A command of the entity to itself. Result: its reply, once durable."""

    command: Any


class Price(msgspec.Struct, frozen=True):
    """The newest price of each SKU. Result: dict sku -> `Priced` (absent: cannot be bought), or `Failed`."""

    skus: tuple[str, ...]


class Priced(msgspec.Struct, frozen=True, kw_only=True):
    """One SKU as the catalog sells it now."""

    sku: str
    product_id: str
    name: str
    price_minor: int
    price_version: int
    currency: str


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """Charge under this key; a repeat of the key is the same charge. Result: `ChargeResult`, or `Failed` (unknown)."""

    key: str
    amount_minor: int
    currency: str
    token: str


class CloseCharge(msgspec.Struct, frozen=True, kw_only=True):
    """Ask what became of this key and, if nothing, close it for good. Result: `ChargeResult`, or `Failed`."""

    key: str
    amount_minor: int
    currency: str


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """Give back `amount_minor` of the capture `of_key`. Result: `RefundResult`, or `Failed` (unknown)."""

    key: str
    of_key: str
    amount_minor: int
    currency: str


class ChargeResult(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway's final word on a charge: captured, declined, or closed (never charged, and never will be)."""

    status: str
    reference: str = ""
    reason: str = ""
    last4: str = ""


class RefundResult(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway's final word on a refund."""

    reference: str = ""


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """No answer. `may_have_run` False: it certainly did not."""

    code: str
    may_have_run: bool = True


class Together(msgspec.Struct, frozen=True):
    """Steps at once. Result: the tuple of their results, in order."""

    steps: tuple[Any, ...]


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """Let time pass before the next step. Result: None."""

    delay_ms: int


class Finished(msgspec.Struct, frozen=True):
    """The saga's part is over. `reply` answers the parked commands; None has them decided again.

    `retry`: parked commands with a later deadline than the one that began the saga may begin a new attempt instead.
    """

    reply: Any = None
    retry: bool = False


Step: TypeAlias = Ask | AskAll | Decide | Price | Charge | CloseCharge | Refund | Together | Wait | Finished
